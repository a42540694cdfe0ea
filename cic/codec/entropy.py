"""The entropy stage: bytes made smaller without loss by zstandard or zlib, and made larger again up to a known size only.

Two steps help a fast compressor, and both are undone exactly. First, the bytes of equal rank of wide values stand together.
Second, where most bytes are zero, as after ReLU, one bit for each byte says whether it is zero, and only the others follow.
The reason is that a prefix code spends at least one bit on each zero. If nine bytes in ten are zero, this is half as much
again as the entropy of the zeros.
"""

from __future__ import annotations

import struct
import threading
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cic.errors import CodecError

Entropy = Literal["zstd", "zlib"]

Bytes = NDArray[np.uint8]

# Of both: higher levels take several times as long for a few percent.
_LEVEL = 1
# Matches are rare and short in activations; looking for fewer makes level 1 up to twice as fast, and smaller.
_MATCHING = {"hash_log": 6, "min_match": 7}
# Little-endian whatever the machine, as the bytes of a body are.
_UNSIGNED: dict[int, np.dtype[Any]] = {2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
# With more zeros than that, naming them bit by bit is smaller and no slower.
_LARGEST_SHARE_MASKED = 0.4
_SMALLEST_MASKED = 256
_LENGTH = struct.Struct("<I")
_PIECE, _LEAST_GAIN = 1 << 16, 15 / 16
_OF_THREAD = threading.local()


def zstd_here() -> bool:
    """Is the package `zstandard` installed?"""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


def compress(body: Bytes, entropy: Entropy, width: int) -> tuple[bytes, bool]:
    """`body` compressed, and whether its zeros are masked. width: bytes of a value.

    Masked are bodies of single bytes, mostly zero: the length of the first stream, the stream of a bit for each byte, the
    stream of the bytes that are not zero. Others are one stream: the first bytes of all values, then the second ones, …
    Raises CodecError if zstandard is asked for and not installed.
    """
    if width > 1:
        return _stream(_planes(body, width), entropy), False
    if len(body) < _SMALLEST_MASKED or np.count_nonzero(body) > _LARGEST_SHARE_MASKED * len(body):
        return _stream(body, entropy), False
    there = body != 0
    mask = _stream(np.packbits(there), entropy)
    # By index: several times faster than by the mask itself.
    rest = _stream(body.take(np.flatnonzero(there)), entropy)
    return b"".join((_LENGTH.pack(len(mask)), mask, rest)), True


def decompress(packed: memoryview, entropy: Entropy, size: int, width: int, masked: bool, name: str) -> Bytes:
    """What `compress` was given, which had `size` bytes; more than that is never allocated for any stream.

    Raises CodecError naming the tensor if `packed` is anything but whole streams of exactly that size.
    """
    if masked:
        return _unmasked(packed, entropy, size, width, name)
    planes = _bytes_of(packed, entropy, size, name)
    return planes if width == 1 else _interleaved(planes, width)


def _unmasked(packed: memoryview, entropy: Entropy, size: int, width: int, name: str) -> Bytes:
    length = _LENGTH.unpack_from(packed)[0] if len(packed) >= _LENGTH.size else 0
    if width != 1 or _LENGTH.size + length > len(packed):
        raise CodecError(f"{name}: the payload says that {length} bytes of mask follow, it has {len(packed)} in all")
    streams = packed[_LENGTH.size :]
    mask = np.unpackbits(_bytes_of(streams[:length], entropy, (size + 7) // 8, name))
    if mask[size:].any():
        raise CodecError(f"{name}: the payload's mask goes on after the {size} bytes that belong there")
    places = np.flatnonzero(mask.view(np.bool_))
    body = np.zeros(size, np.uint8)
    body[places] = _bytes_of(streams[length:], entropy, len(places), name)
    return body


def _planes(body: Bytes, width: int) -> Bytes:
    """The first bytes of all values, then the second ones, …"""
    if width not in _UNSIGNED:
        return np.ascontiguousarray(body.reshape(-1, width).T).reshape(-1)
    # As shifts of whole values, several times faster than a transposition.
    numbers = np.ascontiguousarray(body).view(_UNSIGNED[width])
    planes = np.empty((width, len(numbers)), np.uint8)
    for rank, plane in enumerate(planes):
        np.copyto(plane, numbers >> (8 * rank) if rank else numbers, casting="unsafe")
    return planes.reshape(-1)


def _interleaved(planes: Bytes, width: int) -> Bytes:
    rows = planes.reshape(width, -1)
    if width not in _UNSIGNED:
        return np.ascontiguousarray(rows.T).reshape(-1)
    numbers: NDArray[Any] = rows[-1].astype(_UNSIGNED[width])
    for plane in rows[-2::-1]:
        numbers <<= 8
        numbers |= plane
    return numbers.view(np.uint8)


def _stream(body: Bytes, entropy: Entropy) -> bytes:
    if entropy == "zlib":
        return zlib.compress(body.data, _LEVEL)
    packed: bytes = _working("compressor").compress(body)
    return packed


def _bytes_of(packed: memoryview, entropy: Entropy, size: int, name: str) -> Bytes:
    return np.frombuffer((unzlib if entropy == "zlib" else _unzstd)(packed, size, name), np.uint8)


def unzlib(packed: memoryview, size: int, name: str) -> bytes:
    """The `size` bytes that a zlib stream holds.

    Blocks that bring a code of their own and then nothing take a hundred times as long as others of their length. What
    deflates well or not at all gives at least as many bytes as it takes, but for a few of overhead: a stream that falls
    behind that is given up. Raises CodecError naming the tensor unless the stream is whole, and holds exactly that.
    """
    stream = zlib.decompressobj()
    parts: list[bytes] = []
    got = read = 0
    try:
        while not stream.eof and got <= size and read < len(packed):
            piece = packed[read : read + _PIECE]
            # One byte more than is right, to see that there is no more.
            parts.append(stream.decompress(piece, size + 1 - got))
            got, read = got + len(parts[-1]), read + len(piece)
            if got < read * _LEAST_GAIN - _PIECE:
                raise CodecError(f"{name}: the payload's zlib stream takes {read} bytes to say {got}, which no encoder does")
    except zlib.error as error:
        raise CodecError(f"{name}: the payload is no zlib stream: {error}") from None
    if got != size or not stream.eof or stream.unused_data or stream.unconsumed_tail or read < len(packed):
        raise CodecError(f"{name}: the payload's zlib stream does not hold exactly the {size} bytes that belong there")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(packed: memoryview, size: int, name: str) -> bytes:
    zstandard = _zstandard()
    try:
        # The decompressor would believe the size that the frame states; so it is compared first.
        stated = zstandard.get_frame_parameters(packed).content_size
        if stated != size:
            raise CodecError(f"{name}: the payload's zstandard frame states {stated} bytes, {size} belong there")
        body: bytes = _working("decompressor").decompress(packed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"{name}: the payload is no zstandard frame: {error}") from None
    if len(body) != size:
        raise CodecError(f"{name}: the payload's zstandard frame held {len(body)} bytes, {size} belong there")
    return body


def _working(kind: Literal["compressor", "decompressor"]) -> Any:
    """One of each for every thread, kept: making one takes as long as using it, and threads may not share them."""
    found = getattr(_OF_THREAD, kind, None)
    if found is None:
        zstandard = _zstandard()
        if kind == "decompressor":
            found = zstandard.ZstdDecompressor()
        else:
            parameters = zstandard.ZstdCompressionParameters.from_level(_LEVEL, **_MATCHING)
            found = zstandard.ZstdCompressor(compression_params=parameters)
        setattr(_OF_THREAD, kind, found)
    return found


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise CodecError(
            "codecs that end in '+zstd' need the package zstandard: pip install zstandard, or use '+zlib'"
        ) from None
    return zstandard
