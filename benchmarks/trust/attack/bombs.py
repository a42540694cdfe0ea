"""Payloads within their size that ask for much: streams that unpack to more than belongs there, to nothing, or slowly."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import zstandard
from PIL import Image

from cic.codec.codec import Codec
from cic.codec.form_codec import COMPRESSED, MASKED, FormCodec
from cic.codec.picture import PictureCodec
from cic.codec.transform.transform_codec import TransformCodec

Bomb = tuple[str, bytes]
_EMPTY_STORED, _EMPTY_RAW = b"\0\0\0\xff\xff", b"\0\0\0"


def bombs_for(used: Codec, shape: tuple[int, ...], dtype: str) -> Iterator[Bomb]:
    """Bombs as large as the codec lets them be, each with what it is."""
    room = used.largest_bytes(shape, dtype)
    if isinstance(used, PictureCodec):
        *_, height, width = shape
        yield from {"PNG": _pngs, "JPEG": _jpegs, "WEBP": _webps}[used.kind](height, width, room)
    elif isinstance(used, TransformCodec):
        yield from _symbols(room)
    elif isinstance(used, FormCodec) and used.entropy is not None:
        streams = dict(_zlib_streams(room) if used.entropy == "zlib" else _zstd_streams(room, shape))
        for kind, stream in streams.items():
            for mark in (COMPRESSED, COMPRESSED | 1, COMPRESSED | 8):
                yield f"{kind} under {mark}", bytes((mark,)) + stream
            for length in (0, len(stream), len(stream) // 2, 2**32 - 1):
                yield f"{kind} masked {length}", bytes((COMPRESSED | MASKED,)) + struct.pack("<I", length) + stream
            yield f"{kind} twice", bytes((COMPRESSED | MASKED,)) + struct.pack("<I", len(stream)) + stream + stream


def _symbols(room: int) -> Iterator[Bomb]:
    """Symbols to the end of the room, as most have fewer bits; of a decoder's state nothing but zeros, ones, or chance."""
    for mark in (b"\0", b"\1", b"\2"):
        for kind, content in (("zeros", bytes(room)), ("ones", b"\xff" * room), ("chance", random.Random(0).randbytes(room))):
            for size in (room - 1, room // 2 // 2 * 2, room // 8 // 2 * 2):
                yield f"{size} of {kind} after {mark.hex()}", mark + content[:size]


def _zlib_streams(room: int) -> Iterator[Bomb]:
    for share in (1, 4, 8):
        yield f"empty blocks, 1/{share}", b"\x78\x01" + _EMPTY_STORED * (room // share // 6)
        yield f"empty tables, 1/{share}", b"\x78\x01" + empty_tables(room // share - 16)
    yield "far too much", _zlib_zeros()[: room - 8]
    yield "far too much, whole", zlib.compress(bytes(1 << 20), 9)


@cache
def _zlib_zeros() -> bytes:
    """A stream of 128 MiB, made once for all codecs."""
    return zlib.compress(bytes(1 << 27), 9)


@cache
def _zstd_zeros() -> bytes:
    """A frame of 256 MiB, made once for all codecs."""
    return zstandard.ZstdCompressor(level=1).compress(bytes(1 << 28))


def _zstd_streams(room: int, shape: tuple[int, ...]) -> Iterator[Bomb]:
    size = int(np.prod(shape))
    for stated in (size, 4 * size, 2**40):
        head = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", stated)
        yield f"{stated} of empty blocks", head + _EMPTY_RAW * (room // 4)
        yield f"{stated} of repeated bytes", head + struct.pack("<I", (1 << 17) << 3 | 2)[:3] * (room // 8)
    yield "far too much", _zstd_zeros()
    window = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, write_content_size=0)
    yield "a window of 128 MiB", zstandard.ZstdCompressor(compression_params=window).compress(bytes(1 << 20))


def _jpegs(height: int, width: int, room: int) -> Iterator[Bomb]:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG", progressive=True, subsampling=0)
    whole, scan = file.getvalue(), b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    for kind, each in {
        "empty scans": scan,
        "scans of zeros": scan + bytes(500),
        "scans with restarts": b"\xff\xdd\0\4\0\1" + scan,
        "scans of all": b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x00\x00",
        "tables": b"\xff\xc4\x00\x14\x00" + bytes(16) + b"\0",
    }.items():
        for count in (31, (room - len(whole)) // len(each)):
            yield f"{kind}, {count}", whole[:-2] + each * min(count, (room - len(whole)) // len(each)) + b"\xff\xd9"
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000)
    exif += b"".join(struct.pack("<HHII", tag, 1, 60_000, 10) for tag in range(5000)) + bytes(4)
    yield "Exif that names its bytes 5,000 times", whole[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + whole[2:]
    yield "comments", whole[:2] + b"\xff\xfe\0\2" * ((room - len(whole)) // 4) + whole[2:]
    yield "fill bytes", whole[:2] + b"\xff" * (room - len(whole)) + whole[2:]


def _pngs(height: int, width: int, room: int) -> Iterator[Bomb]:
    start, end = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), _chunk(b"IEND", b"")

    def file(*inner: bytes, first: bytes = start) -> bytes:
        return b"".join((b"\x89PNG\r\n\x1a\n", first, *inner, end))

    yield "empty chunks", file(_chunk(b"IDAT", b"") * (room // 12 - 8))
    yield "texts", file(_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 16))) * (room // 100))
    for kind, stream in _zlib_streams(room - 80):
        yield kind, file(_chunk(b"IDAT", stream))
    for depth, colour, interlaced in ((16, 2, 0), (1, 0, 0), (8, 2, 1), (8, 6, 0), (8, 3, 0)):
        header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
        yield f"{depth} bits of kind {colour}", file(_chunk(b"IDAT", zlib.compress(bytes(1 << 22))), first=header)


def _webps(height: int, width: int, room: int) -> Iterator[Bomb]:
    """Frames of a sound head and a body of anything, which is read as far as the frame's macroblocks ask for it."""
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(file, "WEBP", quality=100, method=0)
    frame = file.getvalue()[20:]
    noise = np.random.default_rng(0).bytes(room)
    bodies = {"zeros": bytes(room), "ones": b"\xff" * room, "noise": noise, "noise, its own head": frame[10:40] + noise}
    for kind, body in bodies.items():
        for first in (len(frame), 1, (1 << 19) - 1):
            tag = (0x10 | first << 5 & 0xFFFFFF).to_bytes(3, "little")
            yield f"{kind}, a first part of {first}", _riff((b"VP8 ", (tag + frame[3:10] + body)[: room - 20 & ~1]))
    sound = (b"VP8 ", frame[: room // 2])
    yield "empty chunks", _riff(sound, *[(b"EXIF", b"")] * ((room // 2 - 40) // 8))
    yield "metadata", _riff((b"VP8X", bytes(10)), sound, *[(b"EXIF", noise[:60_000])] * (room // 2 // 70_000))
    yield "two frames", _riff(sound, (b"VP8 ", frame[: room // 2 - 60]))


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(each)) + each + bytes(len(each) % 2) for kind, each in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def empty_tables(size: int) -> bytes:
    """Deflate blocks that each bring a code of their own and then nothing."""
    bits = [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits += [(1 if symbol in (18, 1) else 0, 3) for symbol in order]
    # 256 symbols that do not occur, the end of the block and one distance that do; then the end.
    bits += [(1, 1), (127, 7), (1, 1), (107, 7), (0, 1), (0, 1), (0, 1)]
    number, length = 0, 0
    for _ in range(8):
        for value, width in bits:
            number, length = number | value << length, length + width
    return number.to_bytes(length // 8, "little") * (size // (length // 8))
