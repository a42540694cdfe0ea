"""What of a PNG, JPEG or WebP file its pixels depend on, and no more work than such files ask for.

A file within its size may still keep a decoder busy for minutes: with thousands of empty scans (JPEG), of empty chunks (PNG),
or of entries in its metadata that all name the same bytes. So the file is walked first, which costs a step a segment. What
pixels do not depend on is left out, the rest is counted, and only then does Pillow see it.

What is left of a WebP file is one key frame of VP8. Decoding one is a single pass over its macroblocks, whose number its
size says: each asks for at most 25 blocks of 16 numbers, and where the bytes end before, zeros are read (RFC 6386).
"""

from __future__ import annotations

import re
import struct
import zlib

from cic.codec.entropy import unzlib
from cic.errors import CodecError

# A JPEG encoder writes up to ten scans, one that searches for the best script some fifteen.
_MOST_SCANS = 32
# Of a JPEG file, and of a PNG file besides one for each so many bytes; common encoders fill 8 KiB.
_MOST_SEGMENTS, _BYTES_A_CHUNK = 1000, 1024

_FILL = re.compile(rb"\xff+")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Marker codes: tables, and the frames of baseline, extended and progressive files.
_DHT, _SOI, _EOI, _SOS, _DQT, _DRI = 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
_FRAMES = (0xC0, 0xC1, 0xC2)
# These two say which colours the components are; other application segments and comments (0xFE) say nothing of pixels.
_JFIF, _ADOBE = (0xE0, b"JFIF\0"), (0xEE, b"Adobe")
_LEFT_OUT = (*range(0xE0, 0xF0), 0xFE)

# A key frame that is shown, of one of the four versions there are: the least bits of its first byte.
_SHOWN_KEY_FRAMES, _START_CODE = (0x10, 0x12, 0x14, 0x16), b"\x9d\x01\x2a"
# Pixels without loss, with transparency, or several pictures.
_OTHER_WEBP = (b"VP8L", b"ALPH", b"ANIM", b"ANMF")

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")
_GREY, _COLOUR = 0, 2
# The first column and row of each pass of an interlaced file, and the steps to the next ones.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def bare_jpeg(content: bytes, name: str) -> bytes:
    """The JPEG file without what its pixels do not depend on, up to its first end.

    Raises CodecError naming the tensor for a damaged file, one of another process than baseline or progressive, and one
    with more scans or segments than encoders write.
    """
    if content[:2] != b"\xff\xd8":
        raise CodecError(f"{name}: the payload is no JPEG file: it does not begin as one")
    kept, place, scans, frames = [content[:2]], 2, 0, 0
    for _ in range(_MOST_SEGMENTS):
        start = place
        fill = _FILL.match(content, place)
        place = fill.end() if fill else place
        marker = content[place] if start < place < len(content) else None
        if marker == _EOI and scans:
            return b"".join((*kept, b"\xff\xd9"))
        place += 1
        segment = content[place : place + int.from_bytes(content[place : place + 2], "big")]
        known = marker in (_DHT, _SOS, _DQT, _DRI, *_FRAMES, *_LEFT_OUT)
        if not known or len(segment) < 2 or len(segment) != int.from_bytes(segment[:2], "big"):
            raise CodecError(f"{name}: the payload is no JPEG file that is decoded here: byte {start} begins no known segment")
        place += len(segment)
        scans, frames = scans + (marker == _SOS), frames + (marker in _FRAMES)
        if scans > _MOST_SCANS or frames > 1:
            raise CodecError(
                f"{name}: the payload is a JPEG file of {scans} scans and {frames} frames, at most {_MOST_SCANS} and 1"
            )
        if marker not in _LEFT_OUT or (marker, segment[2:7]) in (_JFIF, _ADOBE):
            kept.append(b"\xff" + content[place - len(segment) - 1 : place])
        if marker == _SOS:
            following = _NEXT_MARKER.search(content, place)
            end = len(content) if following is None else following.start()
            kept.append(content[place:end])
            place = end
    raise CodecError(f"{name}: the payload is a JPEG file of more than {_MOST_SEGMENTS} segments")


def bare_webp(content: bytes, size: tuple[int, int, int], name: str) -> bytes:
    """The WebP file of one key frame of VP8 and nothing else, which is all that pixels depend on.

    size: channels, height and width that belong there. Raises CodecError naming the tensor for a damaged file, one of another
    size, one that is lossless, transparent or moves, and one of more chunks than encoders write.
    """
    if (content[:4], content[8:12]) != (b"RIFF", b"WEBP") or len(content) != 8 + int.from_bytes(content[4:8], "little"):
        raise CodecError(f"{name}: the payload is no WebP file: it does not begin as one of {len(content)} bytes")
    frames, place = [], 12
    for _ in range(_MOST_SEGMENTS):
        if place == len(content):
            break
        kind, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        end = place + 8 + length + length % 2
        if place + 8 > len(content) or end > len(content) or kind in _OTHER_WEBP:
            raise CodecError(f"{name}: the payload is no WebP file that is decoded here: a chunk is {kind!r} of {length} bytes")
        if kind == b"VP8 ":
            frames.append(content[place + 8 : place + 8 + length])
        place = end
    if place != len(content) or len(frames) != 1:
        raise CodecError(
            f"{name}: the payload is a WebP file of {len(frames)} frames in {_MOST_SEGMENTS} chunks or fewer, not of 1"
        )
    return _webp(frames[0], size, name)


def _webp(frame: bytes, size: tuple[int, int, int], name: str) -> bytes:
    first, width, height = (int.from_bytes(frame[at : at + 2], "little") for at in (0, 6, 8))
    if len(frame) < 10 or first & 0x1F not in _SHOWN_KEY_FRAMES or frame[3:6] != _START_CODE:
        raise CodecError(f"{name}: the payload is a WebP file without a key frame that is shown")
    # The two bits above a side ask a player to scale it, which decoders leave to it.
    stated = (height & 0x3FFF, width & 0x3FFF)
    if stated != size[1:]:
        raise CodecError(f"{name}: the payload is a picture of {stated} (height, width), {size[1:]} belongs there")
    chunk = b"VP8 " + len(frame).to_bytes(4, "little") + frame + bytes(len(frame) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def bare_png(content: bytes, size: tuple[int, int, int], name: str) -> bytes:
    """The PNG file of one header, one piece of pixels and an end, which is all that grey or coloured bytes need.

    The pixels are unpacked here, where the time that takes is bounded, and passed on as they are. size: channels, height and
    width that belong there. Raises CodecError naming the tensor for a damaged file, one of another size, and one with more
    chunks than encoders write.
    """
    if content[:8] != _SIGNATURE:
        raise CodecError(f"{name}: the payload is no PNG file: it does not begin as one")
    header, place = b"", 8
    pixels: list[bytes] = []
    for _ in range(_MOST_SEGMENTS + len(content) // _BYTES_A_CHUNK):
        length, kind = _HEAD.unpack_from(content, place) if place + 12 <= len(content) else (len(content), b"")
        end = place + 8 + length
        if end + 4 > len(content):
            raise CodecError(f"{name}: the payload is no PNG file: the chunk at byte {place} does not end")
        # Lower case: nothing that pixels depend on. A palette only suggests colours here.
        if not kind[0] & 32 and kind != b"PLTE":
            if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
                raise CodecError(f"{name}: the payload is no PNG file: the chunk at byte {place} is damaged")
            if kind == b"IEND":
                return _png(header, b"".join(pixels), size, name)
            if kind != (b"IDAT" if header else b"IHDR"):
                raise CodecError(f"{name}: the payload is no PNG file that is decoded here: a chunk is {kind!r}")
            if kind == b"IHDR":
                header = content[place + 8 : end]
            else:
                pixels.append(content[place + 8 : end])
        place = end + 4
    raise CodecError(f"{name}: the payload is a PNG file of {len(content)} bytes in more chunks than one each {_BYTES_A_CHUNK}")


def _png(header: bytes, packed: bytes, size: tuple[int, int, int], name: str) -> bytes:
    if len(header) != 13 or header[8] > 8 or header[9] not in (_GREY, _COLOUR):
        raise CodecError(f"{name}: the payload is a PNG file of other pixels than grey or coloured ones of 8 bits")
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    stated = (3 if colour == _COLOUR else 1, height, width)
    if stated != size:
        raise CodecError(f"{name}: the payload is a picture of {stated} (channels, height, width), {size} belongs there")
    passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
    sides = [((width - left + right - 1) // right, (height - top + down - 1) // down) for left, top, right, down in passes]
    rows = sum(high * (1 + (wide * stated[0] * depth + 7) // 8) for wide, high in sides if wide > 0)
    body = zlib.compress(unzlib(memoryview(packed), rows, name), 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    written = (
        _HEAD.pack(len(each), kind) + each + zlib.crc32(each, zlib.crc32(kind)).to_bytes(4, "big") for kind, each in chunks
    )
    return _SIGNATURE + b"".join(written)
