"""A picture as a file: small, of the size that was told, and nothing else is unpacked."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.crossing import cross
from cic.codec.picture import PictureCodec
from cic.codec.registry import codec, input_codecs
from cic.errors import CodecError
from cic.inputs.photo import read_photo
from tests.cic.codec.pictures_to_send import IMAGENET, KINDS, chunk, normalised, smooth_pixels


def test_a_photograph_is_smallest_as_jpeg_and_smaller_as_png_than_as_bytes() -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    names = (*input_codecs(f"uint8, {IMAGENET}"), f"jpeg90, {IMAGENET}")
    sizes = [cross(photo, name)[1] for name in names]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 3 * 224 * 224 + 1 and sizes[-1] < 20_000
    for name in names[:-1]:
        assert codec(name).lossless and torch.equal(cross(photo, name)[0], photo)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_picture_that_loses_loses_little_and_less_at_higher_quality_in_more_bytes(kind: str) -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    crossed = [cross(photo, f"{kind}{quality}, {IMAGENET}") for quality in (30, 90, 100)]
    errors, sizes = [float((back - photo).norm() / photo.norm()) for back, _ in crossed], [size for _, size in crossed]
    assert 0.2 > errors[0] > errors[1] > errors[2] > 0
    assert sizes == sorted(sizes)
    assert not codec(f"{kind}90").lossless


def test_all_colours_of_a_jpeg_take_more_bytes_and_lose_less() -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    (half, fewer), (whole, more) = cross(photo, f"jpeg75, {IMAGENET}"), cross(photo, f"jpeg75-444, {IMAGENET}")
    assert fewer < more and float((whole - photo).norm()) < 0.8 * float((half - photo).norm())


def test_a_jpeg_has_tables_of_its_own_where_they_fit() -> None:
    from PIL import Image

    photo = (read_photo(None, [(1, 3, 224, 224)]) * 40 + 110).clamp(0, 255).to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(photo[0].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=50)
    assert memoryview(codec("jpeg50").encode(photo)).nbytes < 0.97 * file.tell()
    noise = (np.random.default_rng(0).integers(0, 2, (3, 64, 64)) * 255).astype(np.uint8)
    for name in ("jpeg90-444", "jpeg100-444"):
        assert codec(name).decode(codec(name).encode(noise), noise.shape, "uint8").shape == noise.shape


def test_a_grey_picture_as_webp_comes_back_grey() -> None:
    grey = smooth_pixels(1, 30, 50).numpy()
    back = codec("webp90").decode(codec("webp90").encode(grey), grey.shape, "uint8")
    assert np.abs(back.astype(int) - grey).max() < 16


def test_webp_is_smaller_than_jpeg_at_no_larger_error() -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    for webp, jpeg in ((75, 75), (25, 25), (10, 10)):
        (small, fewer), (large, more) = cross(photo, f"webp{webp}, {IMAGENET}"), cross(photo, f"jpeg{jpeg}, {IMAGENET}")
        assert fewer < more and float((small - photo).norm()) < float((large - photo).norm())


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (3, 8), (0, 3, 8, 8), (1, 3, 0, 8), (1, 3, 70_000, 1)])
def test_pictures_have_one_or_three_channels_and_a_size(shape: tuple[int, ...]) -> None:
    for kind in ("png", "jpeg90", "webp75"):
        with pytest.raises(CodecError, match=r"image (has the shape|is a picture of)"):
            codec(kind).encode(np.zeros(shape, np.uint8), "image")


SHAPE = (1, 3, 12, 10)

IMAGE = normalised(smooth_pixels(*SHAPE))


@pytest.mark.parametrize("kind", (*KINDS, "jpeg90", "jpeg90-444", "webp75"))
def test_every_truncation_and_extension_is_refused(kind: str) -> None:
    used = codec(f"{kind}, {IMAGENET}")
    payload = bytes(used.encode(IMAGE))
    for other in [payload[:length] for length in range(len(payload))] + [payload + b"\0", payload + bytes(50_000)]:
        with pytest.raises(CodecError, match="image"):
            used.decode(other, SHAPE, "float32", "image")


@settings(max_examples=560, deadline=None)
@given(st.sampled_from((*KINDS, "jpeg90", "jpeg90-444", "webp75")), st.data())
def test_damaged_pictures_are_refused_or_give_a_tensor_of_that_shape(kind: str, data: st.DataObject) -> None:
    used = codec(f"{kind}, {IMAGENET}")
    payload = bytearray(used.encode(IMAGE))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        back = used.decode(payload, SHAPE, "float32")
    except CodecError:
        return
    assert back.shape == SHAPE and back.dtype == np.float32


def test_a_picture_of_another_size_or_kind_is_refused_before_it_is_unpacked() -> None:
    from PIL import Image

    head = b"\x89PNG\r\n\x1a\n"
    bomb = zlib.compress(bytes(1 << 26))
    files = {
        "huge": head + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)),
        "larger": head + chunk(b"IHDR", struct.pack(">IIBBBBB", 4000, 4000, 8, 2, 0, 0, 0)),
        "text": head + chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 12, 8, 2, 0, 0, 0)) + chunk(b"zTXt", b"a\0\0" + bomb[:3000]),
    }
    grey, palette = io.BytesIO(), io.BytesIO()
    Image.new("L", (10, 12)).save(grey, "PNG")
    Image.new("P", (10, 12)).save(palette, "PNG")
    bodies = {name: start + chunk(b"IDAT", bomb[:1500]) + chunk(b"IEND", b"") for name, start in files.items()}
    bodies |= {"grey": grey.getvalue(), "palette": palette.getvalue()}
    for name, body in bodies.items():
        tracemalloc.start()
        with pytest.raises(CodecError, match="image"):
            codec("png").decode(body, SHAPE, "uint8", "image")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 23, name


def test_noise_stays_within_the_largest_size() -> None:
    for name in ("png", "jpeg100", "jpeg100-444", "webp100"):
        for channels in (1, 3):
            noise = (np.random.default_rng(0).integers(0, 2, (channels, 200, 200)) * 255).astype(np.uint8)
            assert len(codec(name).encode(noise)) <= codec(name).largest_bytes(noise.shape, "uint8")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_file_that_the_device_has_is_sent_as_it_is(kind: str) -> None:
    from PIL import Image

    pixels = smooth_pixels(16, 20, 3).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=75)
    back = codec(f"{kind.lower()}90").decode(file.getvalue(), (1, 3, 16, 20), "uint8")
    assert np.array_equal(back[0].transpose(1, 2, 0), np.array(Image.open(file)))


def test_without_pillow_pictures_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    used = codec("png")
    assert isinstance(used, PictureCodec)
    with pytest.raises(CodecError, match="pip install pillow, or use 'uint8"):
        used.encode(np.zeros((3, 4, 4), np.uint8))
