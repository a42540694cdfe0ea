"""Encode and decode times and sizes of the codecs, against other ways to send eight or four bits a value.

    OMP_NUM_THREADS=1 python -m benchmarks.wire.codec_speed      # writes benchmarks/results/codec_speed.{md,json}

Times are of 0.8 MB of float32, one thread. Sizes are compared with the empirical entropy of the symbols, each coded alone: no
code that treats values one by one can be smaller, but one that sees that neighbours are alike can. Trained networks are
trained first if their weights are not there (seven minutes).
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray

from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.harness.timing import interleaved
from benchmarks.wire.wire_sizes import activations
from cic.codec.registry import codec
from cic.inputs.photo import read_photo
from codegen.torchvision_import import import_torchvision
from examples import trained
from examples.models.meaningful import make_meaningful

Floats = NDArray[np.float32]
SHAPE = (1, 64, 56, 56)
OURS = ("int8+zstd", "int8-channel+zstd", "int4+zstd", "int4-channel+zstd", "int4-clip+zstd", "fp16+zstd", "int8", "int4")
PROMISED_S = {"int8+zstd": 1.2e-3, "int4+zstd": 1.0e-3}
LARGEST_EXCESS = 1.25


@dataclass(frozen=True)
class Method:
    """encode: values to payload; decode: payload back to values, as the receiver wants them (a tensor that it may change)."""

    encode: Callable[[Floats], Any]
    decode: Callable[[Any], Any]


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    rounds = 3 if options.quick else 25
    tensors = _tensors(quick=options.quick)
    speed = {name: _speed(values, rounds) for name, values in tensors.items()}
    sizes = {} if options.quick else {network: _sizes(network, pictures=8) for network in trained.names()}
    targets = [*_speed_targets(speed), _size_target(speed, sizes)]
    sections = [_speed_section(name, rows) for name, rows in speed.items()]
    Report(
        "codec_speed",
        "Codecs: time and size",
        [*sections, _size_section(sizes)],
        targets,
        {"speed": speed, "trained": sizes},
        notes=(
            "Processor seconds of one thread, medians; methods take turns. Entropy: of the symbols of that codec, each coded"
            " alone. *torch + zstd* is torch arithmetic, then zstandard level 1; it checks nothing and states no bounds."
            " *numpy + zlib* is the textbook with the standard library's compressor.",
        ),
    ).publish(options.results)
    if not options.quick and not all(target.kept for target in targets):
        raise SystemExit("codec_speed: not as promised")


def _tensors(*, quick: bool) -> dict[str, Floats]:
    """What is sent, each of 64 x 56 x 56 values: real activations, and made ones from dense to sparse."""
    generator = np.random.default_rng(0)

    def rectified(shift: float) -> Floats:
        return np.maximum(generator.standard_normal(SHAPE) - shift, 0).astype(np.float32)

    made = {"normal, half zeros (ReLU)": rectified(0.0), "normal, eight in ten zeros": rectified(0.8416)}
    if quick:
        return made
    made["normal, no zeros"] = generator.standard_normal(SHAPE).astype(np.float32)
    first, last = _resnet_activations()
    return {"ResNet-50 on a photograph, first ReLU of layer1": first, "same, second ReLU": last, **made}


def _resnet_activations() -> list[Floats]:
    """Weights are random, statistics of BatchNorm those of pictures: the input is real, its features are not learned."""
    torch.manual_seed(0)
    photo = read_photo(None, [(1, 3, 224, 224)])
    pictures = torch.cat([photo, photo.flip(3), photo.flip(2), photo.rot90(1, (2, 3))])
    model = make_meaningful(import_torchvision().models.resnet50(weights=None), (pictures,))
    seen: list[Floats] = []
    model.layer1[0].relu.register_forward_hook(lambda module, inputs, output: seen.append(output.numpy().copy()))
    with torch.no_grad():
        model(photo)
    return [values for values in seen if values.shape == SHAPE]


def _ours(name: str) -> Method:
    used = codec(name)
    return Method(used.encode, lambda payload: used.decode(payload, SHAPE, "float32"))


def _torch_zstd(levels: int) -> Method:
    """The fastest we found with torch: one pass for the range, rounding by addition, objects of zstandard kept."""
    packer, unpacker = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()

    def encode(values: Floats) -> tuple[bytes, float, int]:
        tensor = torch.from_numpy(values)
        low, high = (float(end) for end in tensor.aminmax())
        scale = (max(high, 0.0) - min(low, 0.0)) / levels or 1.0
        zero = round(-min(low, 0.0) / scale)
        # Rounds by adding 1.5 * 2^23, as we do: a third of the time of round, clamp and a cast.
        symbols = tensor.mul(1 / scale).add_(zero + 12582912.0).view(torch.int32).to(torch.uint8).reshape(-1)
        if levels < 16:
            symbols = symbols[::2] | (symbols[1::2] << 4)
        return packer.compress(symbols.numpy()), scale, zero

    def decode(payload: tuple[bytes, float, int]) -> torch.Tensor:
        packed, scale, zero = payload
        symbols = torch.frombuffer(bytearray(unpacker.decompress(packed)), dtype=torch.uint8)
        if levels < 16:
            symbols = torch.stack((symbols & 15, symbols >> 4), dim=1).reshape(-1)
        return symbols.to(torch.float32).sub_(zero).mul_(scale).reshape(SHAPE)

    return Method(encode, decode)


def _numpy_zlib() -> Method:
    def encode(values: Floats) -> tuple[bytes, float, float]:
        low, high = float(values.min()), float(values.max())
        scale = (high - low) / 255 or 1.0
        return zlib.compress(np.round((values - low) / scale).astype(np.uint8).tobytes(), 1), low, scale

    def decode(payload: tuple[bytes, float, float]) -> Floats:
        packed, low, scale = payload
        symbols = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(SHAPE)
        return symbols.astype(np.float32) * np.float32(scale) + np.float32(low)

    return Method(encode, decode)


def _methods() -> dict[str, Method]:
    peers = {
        "torch + zstd, 8 bits": _torch_zstd(255),
        "torch + zstd, 4 bits": _torch_zstd(15),
        "numpy + zlib, 8 bits": _numpy_zlib(),
    }
    return {**{name: _ours(name) for name in OURS}, **peers}


def _speed(values: Floats, rounds: int) -> list[dict[str, Any]]:
    methods = _methods()
    payloads = {name: method.encode(values) for name, method in methods.items()}
    encode = interleaved([{name: lambda m=m: m.encode(values) for name, m in methods.items()}] * rounds)
    decode = interleaved([{name: lambda n=name, m=m: m.decode(payloads[n]) for name, m in methods.items()}] * rounds)
    rows = []
    for name in methods:
        payload = payloads[name]
        size = len(payload[0]) if isinstance(payload, tuple) else len(payload)
        bound = _entropy_bytes(name, values)
        rows.append(
            {
                "method": name,
                "encode_s": median(encode[name]),
                "decode_s": median(decode[name]),
                "bytes": size,
                "entropy_bytes": bound,
                "over_entropy": size / bound if bound else None,
            }
        )
    return rows


def _entropy_bytes(name: str, values: Floats) -> float | None:
    """Of the symbols under a codec of ours; None for the others."""
    plain = codec(name.partition("+")[0]) if name in OURS and name.startswith("int") else None
    if plain is None or name == plain.name:
        return None
    channels = values.shape[1] if "channel" in name else 1
    symbols = np.frombuffer(plain.encode(values), np.uint8)[1 + 6 * channels :]
    if "int4" in name:
        symbols = np.stack((symbols & 15, symbols >> 4), axis=1).reshape(-1)[: values.size]
    counts = np.bincount(symbols)
    shares = counts[counts > 0] / symbols.size
    return float(-(shares * np.log2(shares)).sum() * symbols.size / 8)


def _sizes(network: str, pictures: int) -> list[dict[str, Any]]:
    """Codecs on every rectified tensor of a trained network: bytes of all over entropy of all, and the worst tensor."""
    tensors = [values for values, rectified in activations(network, pictures) if rectified]
    rows = []
    for name in (name for name in OURS if name.startswith("int") and "+" in name):
        sizes = [len(codec(name).encode(values)) for values in tensors]
        bounds = [_entropy_bytes(name, values) or 1.0 for values in tensors]
        ratios = [size / bound for size, bound in zip(sizes, bounds, strict=True)]
        rows.append(
            {
                "codec": name,
                "tensors": len(tensors),
                "zeros": float(np.mean([np.mean(values == 0) for values in tensors])),
                "bits_a_value": 8 * sum(sizes) / sum(values.size for values in tensors),
                "over_entropy": sum(sizes) / sum(bounds),
                "worst_over_entropy": max(ratios),
            }
        )
    return rows


def _speed_targets(speed: dict[str, list[dict[str, Any]]]) -> list[Target]:
    targets = []
    for name, promised_s in PROMISED_S.items():
        taken = [row["encode_s"] + row["decode_s"] for rows in speed.values() for row in rows if row["method"] == name]
        text = f"{show_time(median(taken))}, worst {show_time(max(taken))}"
        targets.append(
            Target(f"encode + decode 0.8 MB, {name}: at most {show_time(promised_s)}", text, max(taken) <= promised_s)
        )
    return targets


def _size_target(speed: dict[str, list[dict[str, Any]]], sizes: dict[str, list[dict[str, Any]]]) -> Target:
    """Of the codecs promised; those by channel carry six bytes a channel besides symbols, which small tensors feel."""
    ratios = [row["over_entropy"] for rows in speed.values() for row in rows if row["method"] in PROMISED_S]
    ratios += [row["over_entropy"] for rows in sizes.values() for row in rows if row["codec"] in PROMISED_S]
    promise = f"bytes over entropy of the symbols, {' and '.join(PROMISED_S)}: at most {LARGEST_EXCESS}"
    return Target(promise, f"{min(ratios):.2f} to {max(ratios):.2f}", max(ratios) <= LARGEST_EXCESS)


def _speed_section(name: str, rows: Sequence[dict[str, Any]]) -> Section:
    together = {row["method"]: row["encode_s"] + row["decode_s"] for row in rows}
    table = []
    for row in rows:
        taken, peer = together[row["method"]], together[f"torch + zstd, {4 if '4' in row['method'] else 8} bits"]
        over = "" if row["over_entropy"] is None else f"{row['over_entropy']:.3f}"
        times = (show_time(row["encode_s"]), show_time(row["decode_s"]), show_time(taken), show_ratio(taken / peer))
        table.append((row["method"], *times, f"{row['bytes']:,}", over))
    columns = ("method", "encode", "decode", "together", "of torch + zstd", "bytes", "over entropy")
    return Section(f"{name}: 802,816 bytes as float32", columns, table)


def _size_section(sizes: dict[str, list[dict[str, Any]]]) -> Section:
    table = [
        (
            f"{network}: {row['codec']}",
            str(row["tensors"]),
            f"{row['zeros']:.0%}",
            f"{row['bits_a_value']:.2f}",
            f"{row['over_entropy']:.3f}",
            f"{row['worst_over_entropy']:.2f}",
        )
        for network, rows in sizes.items()
        for row in rows
    ]
    columns = ("trained network", "rectified tensors", "zeros", "bits a value", "over entropy", "worst tensor")
    return Section("Rectified tensors of trained networks, of 2,000 values and more", columns, table)


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "made activations only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
