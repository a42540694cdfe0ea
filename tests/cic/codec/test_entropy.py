"""Bytes become fewer by as much as their entropy allows, and more again only up to the size that is known."""

from __future__ import annotations

import math
import struct
import sys
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cic.codec import entropy
from cic.codec.form_codec import COMPRESSED, MASKED
from cic.codec.registry import codec, codec_names, entropy_here
from cic.errors import CodecError
from tests.cic.codec.crossed import TENSOR, crossed, same_bits


@pytest.mark.parametrize("ending", ["+zstd", "+zlib"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_sparse_tensors_come_near_the_entropy_of_their_symbols(ending: str, share: float) -> None:
    generator = np.random.default_rng(0)
    tensor = np.abs(generator.standard_normal((1, 61, 33, 33))).astype(np.float32)
    tensor *= generator.random(tensor.shape) >= share
    for name in ("int8", "int4"):
        symbols = np.frombuffer(codec(name).encode(tensor)[7:], np.uint8)
        frequency = np.bincount(symbols) / len(symbols)
        entropy_bytes = -(frequency * np.log2(np.maximum(frequency, 1e-300))).sum() * len(symbols) / 8
        payload = codec(name + ending).encode(tensor)
        # zlib's codes are worse, but it is there without any package.
        assert len(payload) <= (1.25 if ending == "+zstd" else 1.45) * entropy_bytes + 100
        assert bool(payload[0] & MASKED) == (np.count_nonzero(symbols) < 0.4 * len(symbols))
        assert same_bits(crossed(name + ending, tensor), crossed(name, tensor))


def test_a_stream_that_gained_nothing_is_not_unpacked() -> None:
    """Empty blocks take time by the length of the stream, which for few bits a value could be eight times the body."""
    name, size = "int4+zlib", 64 * 56 * 56 // 2 + 7
    stream = b"\x78\x01" + b"\0\0\0\xff\xff" * (size // 5 + 1)
    with pytest.raises(CodecError, match=r"zlib stream has .* bytes, plain it would have"):
        codec(name).decode(bytes((COMPRESSED,)) + stream, (1, 64, 56, 56), "float32", "x")


def _bombs() -> dict[str, bytes]:
    zstandard = pytest.importorskip("zstandard")
    stream = zstandard.ZstdCompressor(level=1, write_content_size=False).compressobj()
    return {
        "zstd": zstandard.ZstdCompressor().compress(bytes(1 << 28)),
        "zstd without a size": stream.compress(bytes(1 << 26)) + stream.flush(),
        "zlib": zlib.compress(bytes(1 << 26)),
        "zlib masked": struct.pack("<I", 80) + zlib.compress(bytes(1 << 14)).ljust(80) + zlib.compress(bytes(1 << 26)),
    }


def test_decompression_bombs_take_no_memory() -> None:
    for kind, packed in _bombs().items():
        name = "int8+" + kind.partition(" ")[0]
        payload = bytes((COMPRESSED | (MASKED if "masked" in kind else 0),)) + packed
        shape = (1, 3, 256, 256)
        tracemalloc.start()
        with pytest.raises(CodecError):
            codec(name).decode(payload, shape, "float32")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * math.prod(shape) * 4, kind


def test_without_zstandard_zlib_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr(entropy, "_OF_THREAD", threading.local())
    assert not [name for name in codec_names() if "zstd" in name]
    assert entropy_here() == "+zlib"
    assert same_bits(crossed("raw+zlib", TENSOR), TENSOR)
    with pytest.raises(CodecError, match="pip install zstandard"):
        codec("int8+zstd").encode(TENSOR)


def test_threads_code_at_once() -> None:
    """Objects of zstandard may not be shared between threads."""
    tensors = [
        np.maximum(np.random.default_rng(seed).standard_normal((1, 16, 40, 40)), 0).astype(np.float32) for seed in range(4)
    ]
    expected = [crossed("int8+zstd", tensor) for tensor in tensors]

    def work(index: int) -> bool:
        return all(same_bits(crossed("int8+zstd", tensors[index]), expected[index]) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
