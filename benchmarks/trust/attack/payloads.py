"""Payloads that no codec wrote: each is refused by a CodecError or gives a tensor of the right shape, at bounded cost.

    OMP_NUM_THREADS=1 python -m benchmarks.trust.attack.payloads    # writes benchmarks/results/attack_payloads.json

20,000 mutations of sound payloads for each codec, and bombs for tensors of up to a picture of 1080 by 1920; then as many of the
numbers that a transform is made from, named by their digest. Declared is the tensor and the largest payload of it; a fault is
another error than CodecError, 64 MiB more than declared, or two seconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256

import numpy as np

from benchmarks.harness.report import shared_options
from benchmarks.trust.attack.attacked_call import LONGEST_S, attacked_in_turn, watched
from benchmarks.trust.attack.bombs import bombs_for
from benchmarks.trust.attack.mutations import mutated_bytes
from benchmarks.trust.attack.sound_transforms import transform_of
from benchmarks.trust.attack.tally import Tally, publish
from cic.codec.codec import Codec
from cic.codec.registry import codec, codec_names
from cic.codec.tensors import Array

PIXELS = ("uint8", "uint8+zstd", "uint8+zlib", "png", "jpeg90", "webp75")
NAMES = (*codec_names(), *PIXELS, "transform")
CHANNELS = 3
BOMBED = ((1, 3, 64, 64), (1, 3, 224, 224), (1, 3, 1080, 1920))
_AT_ONCE = 50


def main() -> None:
    parser = shared_options(__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="mutations for each codec")
    options = parser.parse_args()
    tallies = [attack(name, options.count, seed) for seed, name in enumerate(NAMES)]
    tallies.append(attack_numbers(options.count, len(NAMES)))
    if not publish("attack_payloads", tallies, options.results):
        raise SystemExit("payloads: not all refused as they must be")


def attack(name: str, count: int, seed: int, bombed: Sequence[tuple[int, ...]] = BOMBED, longest_s: float = LONGEST_S) -> Tally:
    """Attack one codec by so many mutations, and by bombs for tensors of these shapes."""
    used = transform_of(CHANNELS)[0] if name == "transform" else codec(name)
    draw, tally = random.Random(seed), Tally(name, longest_s)
    samples = [(array, bytes(used.encode(array))) for array in _samples(name)]
    for array, payload in samples:
        used.decode(payload, array.shape, array.dtype.name)  # what is compiled at the first call is no cost of a payload
    with watched():
        for first in range(0, count, _AT_ONCE):
            sent = [_mutation(samples, draw) for _ in range(min(_AT_ONCE, count - first))]
            _add(tally, used, sent)
        for shape in bombed:
            dtype = "uint8" if name in PIXELS else "float32"
            for kind, payload in bombs_for(used, shape, dtype):
                _add(tally, used, [(shape, dtype, payload, f"{kind}, {shape}")])
    return tally


def attack_numbers(count: int, seed: int, longest_s: float = LONGEST_S) -> Tally:
    """Attack the stored numbers of a transform so many times: made a codec of, which then writes and reads sound tensors."""
    draw, tally = random.Random(seed), Tally("numbers of a transform", longest_s)
    used, stored = transform_of(CHANNELS)
    (content,) = stored.values()
    samples = [(array, bytes(used.encode(array))) for array in _samples("transform")]

    def use(content: bytes, array: Array, payload: bytes) -> None:
        digest = sha256(content).hexdigest()
        other = codec(f"transform-0.05@{digest}", {digest: content})
        _decoded(other, bytes(other.encode(array)), array.shape, array.dtype.name)
        _decoded(other, payload, array.shape, array.dtype.name)

    with watched():
        for first in range(0, count, _AT_ONCE):
            sent = [(*mutated_bytes(content, draw), *draw.choice(samples)) for _ in range(min(_AT_ONCE, count - first))]
            calls: list[Callable[[], object]] = [partial(use, changed, *sample) for changed, _, *sample in sent]
            for (changed, way, array, _), outcome in zip(sent, attacked_in_turn(calls), strict=True):
                tally.add(outcome, len(changed) + array.nbytes + used.largest_bytes(array.shape, array.dtype.name), way)
    return tally


Sent = tuple[tuple[int, ...], str, bytes, str]


def _add(tally: Tally, used: Codec, sent: Sequence[Sent]) -> None:
    """Decode what was sent and count how that ends."""
    calls: list[Callable[[], object]] = [partial(_decoded, used, payload, shape, dtype) for shape, dtype, payload, _ in sent]
    for (shape, dtype, _, label), outcome in zip(sent, attacked_in_turn(calls), strict=True):
        declared = int(np.prod(shape)) * np.dtype(dtype).itemsize + used.largest_bytes(shape, dtype)
        tally.add(outcome, declared, label)


def _decoded(used: Codec, payload: bytes, shape: tuple[int, ...], dtype: str) -> None:
    array = used.decode(payload, shape, dtype, "x")
    if array.shape != shape or array.dtype.name != dtype:
        raise AssertionError(f"decoded {array.dtype} {array.shape}")


def _mutation(samples: Sequence[tuple[Array, bytes]], draw: random.Random) -> Sent:
    array, payload = draw.choice(samples)
    ways = []
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        payload, way = mutated_bytes(payload, draw)
        ways.append(way)
    return array.shape, array.dtype.name, payload, f"{', '.join(ways)}, of {array.shape}"


def _samples(name: str) -> Iterator[Array]:
    """Tensors whose payloads differ in kind: dense, sparse, narrow, not finite, small, empty."""
    generator = np.random.default_rng(0)
    if name == "transform":
        usual = generator.standard_normal((2, CHANNELS, 17, 5)).astype(np.float32)
        yield from (usual, np.maximum(usual - 1, 0), usual.astype(np.float16), usual[:1, :, :1, :1])
        # Symbols that tables do not hold, and values that no symbol stands for.
        yield from (np.where(usual > 2, usual * 8, usual), np.where(usual > 2, np.float32(np.inf), usual))
        yield np.zeros((2, CHANNELS, 0, 4), np.float32)
        return
    if name in PIXELS:
        smooth = np.add.outer(np.arange(24), np.arange(20)) * 3
        yield np.broadcast_to(smooth, (1, 3, 24, 20)).astype(np.uint8)
        yield generator.integers(0, 256, (1, 1, 12, 10)).astype(np.uint8)
        return
    dense = generator.standard_normal((2, 6, 7, 5)).astype(np.float32)
    yield from (dense, np.maximum(dense - 1, 0), dense * np.float32(1e-3) + 100, dense.astype(np.float16))
    yield np.maximum(generator.standard_normal((1, 16, 28, 28)) - 1, 0).astype(np.float32)
    yield np.where(dense > 2, np.float32(np.inf), dense)
    yield from (dense[0, 0, 0, :3], np.zeros((2, 0, 3), np.float32))


if __name__ == "__main__":
    main()
