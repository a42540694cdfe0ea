"""What is left out of a picture file changes no pixel, and files that keep a decoder busy are refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from benchmarks.trust.attack.attacked_call import attacked, watched
from benchmarks.trust.attack.bombs import bombs_for, empty_tables
from cic.codec.registry import codec
from cic.errors import CodecError
from tests.cic.codec.pictures_to_send import chunk, smooth_pixels


def jpeg_of(pixels: np.ndarray, **options: object) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def png_of(*inner: bytes) -> bytes:
    start, end = chunk(b"IHDR", struct.pack(">IIBBBBB", 400, 300, 8, 2, 0, 0, 0)), chunk(b"IEND", b"")
    return b"".join((b"\x89PNG\r\n\x1a\n", start, *inner, end))


def _bombs() -> dict[str, tuple[str, bytes]]:
    """Files within their size that keep a decoder busy: the codec, and the file."""
    black = jpeg_of(np.zeros((300, 400, 3), np.uint8), progressive=True)
    head, scan = black[:-2], b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000)
    exif += b"".join(struct.pack("<HHII", tag, 1, 60_000, 10) for tag in range(5000)) + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    empty = b"\x78\x01" + b"\0\0\0\xff\xff" * 50_000
    return {
        "empty scans": ("jpeg90", head + scan * 25_000 + b"\xff\xd9"),
        "scans with restarts": ("jpeg90", head + (b"\xff\xdd\0\4\0\1" + scan) * 15_000 + b"\xff\xd9"),
        "comments": ("jpeg90", black[:2] + b"\xff\xfe\0\2" * 60_000 + black[2:]),
        "metadata": ("jpeg90", black[:2] + segment * 3 + black[2:]),
        "frames": ("jpeg90", black[:-2] + black[2:] * 30),
        "fill bytes": ("jpeg90", black[:2] + b"\xff" * 250_000 + black[2:]),
        "empty chunks": ("png", png_of(chunk(b"IDAT", b"") * 20_000)),
        "texts": ("png", png_of(chunk(b"tEXt", b"a\0b") * 15_000)),
        "empty blocks": ("png", png_of(chunk(b"IDAT", empty))),
        "empty tables": ("png", png_of(chunk(b"IDAT", b"\x78\x01" + empty_tables(300_000)))),
    }


def test_pictures_take_no_more_work_than_they_are_worth() -> None:
    shape = (1, 3, 300, 400)
    with watched():
        for kind, (name, payload) in _bombs().items():
            used = codec(name)
            assert len(payload) <= used.largest_bytes(shape, "uint8"), kind
            outcome = attacked(lambda used=used, payload=payload: used.decode(payload, shape, "uint8", "image"))
            assert not outcome.foreign and outcome.seconds < 2 and outcome.bytes < 1 << 24, (kind, outcome)
            # These are sound, but for what is left out.
            assert (outcome.ending == "answered") == (kind in ("metadata", "fill bytes")), (kind, outcome)


@pytest.mark.parametrize("options", [{"progressive": True}, {"exif": b"Exif\0\0" + bytes(5000)}, {"subsampling": 0}])
def test_what_is_left_out_changes_no_pixel(options: dict[str, object]) -> None:
    from PIL import Image

    pixels = smooth_pixels(30, 50, 3).numpy()
    for picture in (pixels, pixels[:, :, 0]):
        file = jpeg_of(picture, comment=b"a comment", icc_profile=bytes(3000), **options)
        shape = (1, 3 if picture.ndim == 3 else 1, 30, 50)
        back = codec("jpeg90").decode(file + b"more\xff\xd9", shape, "uint8")
        assert np.array_equal(back[0].transpose(1, 2, 0).squeeze(), np.array(Image.open(io.BytesIO(file))))
    # Components that are colours themselves: only the Adobe segment says so.
    file = jpeg_of(pixels, keep_rgb=True, **options)
    back = codec("jpeg90").decode(file, (3, 30, 50), "uint8")
    assert np.array_equal(back.transpose(1, 2, 0), np.array(Image.open(io.BytesIO(file))))


def webp_of(pixels: np.ndarray, **options: object) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", **options)
    return file.getvalue()


def test_what_is_left_out_of_a_webp_file_changes_no_pixel() -> None:
    from PIL import Image

    pixels = smooth_pixels(30, 50, 3).numpy()
    file = webp_of(pixels, exif=b"Exif\0\0" + bytes(5000), icc_profile=bytes(3000), xmp=bytes(999))
    assert {b"VP8X", b"EXIF", b"ICCP", b"XMP "} <= {file[at : at + 4] for at in range(len(file))}
    back = codec("webp90").decode(file, (3, 30, 50), "uint8")
    assert np.array_equal(back.transpose(1, 2, 0), np.array(Image.open(io.BytesIO(file))))


@pytest.mark.parametrize("shape", [(1, 3, 300, 400), (1, 1, 300, 400), (1, 3, 16, 16)])
def test_webp_files_take_no_more_work_than_they_are_worth(shape: tuple[int, ...]) -> None:
    """The time that a sound file of that size takes, tens of times over, is far below a second."""
    used = codec("webp75")
    with watched():
        for kind, payload in bombs_for(used, shape, "uint8"):
            assert len(payload) <= used.largest_bytes(shape, "uint8"), kind
            outcome = attacked(lambda payload=payload: used.decode(payload, shape, "uint8", "image"))
            assert not outcome.foreign and outcome.seconds < 1 and outcome.bytes < 1 << 24, (kind, outcome)


@pytest.mark.parametrize(
    ("made", "told"), [("lossless", "VP8L"), ("transparent", "ALPH"), ("moving", "ANIM"), ("twice", "2 frames")]
)
def test_webp_files_of_another_kind_are_refused(made: str, told: str) -> None:
    from PIL import Image

    pixels = smooth_pixels(30, 50, 3).numpy()
    clear = np.concatenate([pixels, pixels[:, :, :1]], 2)
    plain, moving = webp_of(pixels), io.BytesIO()
    Image.fromarray(pixels).save(moving, "WEBP", save_all=True, append_images=[Image.fromarray(255 - pixels)])
    files = {
        "lossless": webp_of(pixels, lossless=True),
        "transparent": webp_of(clear),
        "moving": moving.getvalue(),
        "twice": b"RIFF" + struct.pack("<I", 2 * len(plain[12:]) + 4) + b"WEBP" + 2 * plain[12:],
    }
    with pytest.raises(CodecError, match=told):
        codec("webp75").decode(files[made], (3, 30, 50), "uint8", "image")


def test_a_webp_file_of_another_size_is_refused_before_it_is_unpacked() -> None:
    file = webp_of(smooth_pixels(30, 50, 3).numpy())
    for shape in ((3, 50, 30), (3, 30, 51), (3, 31, 50)):
        with pytest.raises(CodecError, match=r"a picture of \(30, 50\) \(height, width\)"):
            codec("webp75").decode(file, shape, "uint8", "image")
    with pytest.raises(CodecError, match="without a key frame"):
        codec("webp75").decode(file[:23] + b"\0" + file[24:], (3, 30, 50), "uint8", "image")
