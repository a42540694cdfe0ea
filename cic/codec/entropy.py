"""The entropy stage: bytes made smaller without loss by zstandard or zlib, and made larger again up to a known size only."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cic.errors import CodecError

Entropy = Literal["zstd", "zlib"]

Bytes = NDArray[np.uint8]

# Of both: higher levels take several times as long for a few percent.
_LEVEL = 1


def zstd_here() -> bool:
    """Is the package `zstandard` installed?"""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


def compress(body: Bytes, entropy: Entropy, width: int) -> bytes:
    """`body` compressed. width: bytes of a value; the first bytes of all values come first, then the second ones, …

    Raises CodecError if zstandard is asked for and not installed.
    """
    planes = body if width == 1 else np.ascontiguousarray(body.reshape(-1, width).T)
    if entropy == "zlib":
        return zlib.compress(planes.data, _LEVEL)
    return _zstandard().ZstdCompressor(level=_LEVEL).compress(planes)


def decompress(packed: memoryview, entropy: Entropy, size: int, width: int, name: str) -> Bytes:
    """What `compress` was given, which had `size` bytes; more than that is never allocated.

    Raises CodecError naming the tensor if `packed` is anything but one whole stream of exactly that size.
    """
    planes = np.frombuffer((_unzlib if entropy == "zlib" else _unzstd)(packed, size, name), np.uint8)
    return planes if width == 1 else np.ascontiguousarray(planes.reshape(width, -1).T).reshape(-1)


def _unzlib(packed: memoryview, size: int, name: str) -> bytes:
    stream = zlib.decompressobj()
    try:
        # One byte more than is right, to see that there is no more.
        body = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise CodecError(f"{name}: the payload is no zlib stream: {error}") from None
    if len(body) != size or not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise CodecError(f"{name}: the payload's zlib stream does not hold exactly the {size} bytes that belong there")
    return body


def _unzstd(packed: memoryview, size: int, name: str) -> bytes:
    zstandard = _zstandard()
    try:
        # The decompressor would believe the size that the frame states; so it is compared first.
        stated = zstandard.get_frame_parameters(packed).content_size
        if stated != size:
            raise CodecError(f"{name}: the payload's zstandard frame states {stated} bytes, {size} belong there")
        body: bytes = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"{name}: the payload is no zstandard frame: {error}") from None
    if len(body) != size:
        raise CodecError(f"{name}: the payload's zstandard frame held {len(body)} bytes, {size} belong there")
    return body


def _zstandard():  # type: ignore[no-untyped-def]  # a module
    try:
        import zstandard
    except ImportError:
        raise CodecError(
            "codecs that end in '+zstd' need the package zstandard: pip install zstandard, or use '+zlib'"
        ) from None
    return zstandard
