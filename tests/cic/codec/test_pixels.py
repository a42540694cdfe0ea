"""Images cross as the pixels they were made of, and come back bit by bit, or are refused."""

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

from benchmarks.trust.attack.attacked_call import attacked, watched
from benchmarks.trust.attack.bombs import empty_tables
from cic.codec.crossing import cross
from cic.codec.picture import PictureCodec
from cic.codec.registry import codec, entropy_here, input_codecs
from cic.errors import CodecError
from cic.inputs.photo import read_photo

IMAGENET = "mean=0.485 0.456 0.406, std=0.229 0.224 0.225"
MEAN, STD = (torch.tensor(figures).reshape(3, 1, 1) for figures in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
KINDS = ("uint8", "uint8+zstd", "uint8+zlib", "png")


def random_pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def smooth_pixels(*shape: int) -> torch.Tensor:
    """As in photographs, neighbours are alike."""
    waves = torch.linspace(0, 7, shape[-1]).sin() + torch.linspace(0, 5, shape[-2]).cos()[:, None]
    return (waves * 60 + 127 + torch.rand(shape) * 8).to(torch.uint8)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """What ToTensor and Normalize of torchvision compute."""
    return pixels.to(torch.float32).div(255).sub(MEAN).div(STD)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 3, 16, 24), (3, 9, 7), (4, 3, 5, 8), (1, 3, 1, 1)])
def test_a_normalised_image_comes_back_bit_by_bit(kind: str, shape: tuple[int, ...]) -> None:
    image = normalised(random_pixels(*shape))
    back, size = cross(image, f"{kind}, {IMAGENET}")
    assert torch.equal(back, image)
    assert size <= codec(f"{kind}, {IMAGENET}").largest_bytes(shape, "float32")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 3), min_size=3, max_size=3),
    st.sampled_from((255.0, 1.0, 128.0)),
)
def test_every_pixel_comes_back_under_every_normalisation(mean: list[float], std: list[float], scale: float) -> None:
    mean = [0.0 if abs(number) < 1e-3 else number for number in mean]
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    figures = [torch.tensor(each).reshape(3, 1, 1) for each in (mean, std)]
    image = pixels.to(torch.float32).div(scale).sub(figures[0]).div(figures[1])
    name = f"uint8, mean={' '.join(map(str, mean))}, std={' '.join(map(str, std))}, scale={scale}"
    assert torch.equal(cross(image, name)[0], image)


@pytest.mark.parametrize("declaration", ["uint8", "uint8, scale=1", "uint8, mean=0.5", "png, mean=0.5, std=0.5"])
def test_one_normalisation_may_serve_all_channels(declaration: str) -> None:
    normalisation = codec(declaration).form.normalisation  # type: ignore[attr-defined]
    pixels = random_pixels(2, 1, 6, 5).to(torch.float32)
    image = pixels.div(normalisation.scale).sub(normalisation.mean[0]).div(normalisation.std[0])
    assert torch.equal(cross(image, declaration)[0], image)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_float_types_come_back_as_float32_would_be_rounded(dtype: torch.dtype) -> None:
    image = normalised(random_pixels(1, 3, 8, 8)).to(dtype)
    assert torch.equal(cross(image, f"uint8, {IMAGENET}")[0], image)


def test_another_order_of_arithmetic_comes_back_but_for_rounding() -> None:
    pixels = random_pixels(1, 3, 8, 8).to(torch.float32)
    image = (pixels - 255 * MEAN) * (1 / (255 * STD))
    back, _ = cross(image, f"uint8, {IMAGENET}")
    assert torch.allclose(back, image, rtol=1e-5, atol=1e-6)


def test_float64_comes_back_rounded_to_float32() -> None:
    image = random_pixels(1, 3, 8, 8).double().div(255).sub(MEAN.double()).div(STD.double())
    back, _ = cross(image, f"uint8, {IMAGENET}")
    assert back.dtype == torch.float64 and torch.allclose(back, image, rtol=1e-6, atol=1e-6)
    with pytest.raises(CodecError, match="which no 8-bit pixel gives"):
        cross(image.mul(1e300), f"uint8, {IMAGENET}", "image")


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_need_no_normalisation(kind: str) -> None:
    pixels = random_pixels(1, 3, 8, 9)
    assert torch.equal(cross(pixels, kind)[0], pixels)
    with pytest.raises(CodecError, match="image holds pixels as bytes"):
        cross(pixels, f"{kind}, mean=0.5", "image")


def test_a_photograph_is_smallest_as_jpeg_and_smaller_as_png_than_as_bytes() -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    names = input_codecs(f"uint8, {IMAGENET}", jpeg_quality=90)
    sizes = [cross(photo, name)[1] for name in names]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 3 * 224 * 224 + 1 and sizes[-1] < 20_000
    for name in names[:-1]:
        assert codec(name).lossless and torch.equal(cross(photo, name)[0], photo)


def test_jpeg_loses_little_and_less_at_higher_quality() -> None:
    photo = read_photo(None, [(1, 3, 224, 224)])
    errors = [float((cross(photo, f"jpeg{quality}, {IMAGENET}")[0] - photo).norm() / photo.norm()) for quality in (30, 90, 100)]
    assert 0.2 > errors[0] > errors[1] > errors[2] > 0
    assert not codec("jpeg90").lossless


@pytest.mark.parametrize("kind", (*KINDS, "jpeg90"))
@pytest.mark.parametrize("damage", [0.3, 1e-3, float("nan"), float("inf"), 300.0])
def test_what_no_pixel_gives_is_refused(kind: str, damage: float) -> None:
    image = normalised(random_pixels(1, 3, 4, 4))
    image[0, 1, 2, 3] += damage / (255 * 0.224)
    with pytest.raises(CodecError, match=r"image\[0, 1, 2, 3\] is .*, which no 8-bit pixel gives under 'uint8, mean=0.485"):
        cross(image, f"{kind}, {IMAGENET}", "image")


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (8, 8, 3), (3, 8), (3,), (1, 1, 3, 8, 8)])
def test_channels_must_lie_where_the_declaration_says(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodecError, match="image has the shape"):
        cross(torch.zeros(shape), f"uint8, {IMAGENET}", "image")


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (3, 8), (0, 3, 8, 8), (1, 3, 0, 8), (1, 3, 70_000, 1)])
def test_pictures_have_one_or_three_channels_and_a_size(shape: tuple[int, ...]) -> None:
    for kind in ("png", "jpeg90"):
        with pytest.raises(CodecError, match=r"image (has the shape|is a picture of)"):
            codec(kind).encode(np.zeros(shape, np.uint8), "image")


WRONG = {
    "uint8, mean": "'mean'; write mean, std and scale",
    "uint8, mode=1": "'mode=1'",
    "uint8, mean=1, mean=2": "'mean=2'",
    "uint8, mean=one": "mean=one; write up to 16 numbers",
    "uint8, mean=": "mean=; write up to 16",
    "uint8, mean=nan": "mean=nan; write",
    "uint8, std=1e30": "std=1e30; write",
    "uint8, std=0.5 0": "all above 0",
    "uint8, scale=-1": "all above 0",
    "uint8, scale=1 2": "one scale",
    "uint8, mean=1 2 3, std=1 2": "3 means and 2 deviations",
    "uint9, mean=1": "there is no codec 'uint9, mean=1'",
    "png+zstd": "there is no codec 'png",
    "jpeg0": "there is no codec 'jpeg0'",
    "jpeg101": "there is no codec",
    "jpeg": "there is no codec",
    "int8, mean=1": "there is no codec",
    "uint8, " + "mean=1, " * 1000: "there is no codec",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_declaration_is_told_what_is_wrong(text: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec(text)
    assert WRONG[text] in str(caught.value)


def test_an_input_is_declared_as_uint8() -> None:
    assert input_codecs("uint8, std=0.5") == ("uint8, std=0.5", f"uint8{entropy_here()}, std=0.5", "png, std=0.5")
    with pytest.raises(CodecError, match="declared as 'float32'; it begins with 'uint8'"):
        input_codecs("float32, std=0.5")
    for name in input_codecs(f" uint8,std = 0.229  0.224 0.225 ,{IMAGENET[: IMAGENET.index(', std')]}", jpeg_quality=80):
        assert codec(codec(name).name) == codec(name)
        assert name.endswith(IMAGENET)


# ---------------------------------------------------------------------------------------------------- hostile payloads

SHAPE = (1, 3, 12, 10)
IMAGE = normalised(smooth_pixels(*SHAPE))


@pytest.mark.parametrize("kind", (*KINDS, "jpeg90"))
def test_every_truncation_and_extension_is_refused(kind: str) -> None:
    used = codec(f"{kind}, {IMAGENET}")
    payload = bytes(used.encode(IMAGE))
    for other in [payload[:length] for length in range(len(payload))] + [payload + b"\0", payload + bytes(50_000)]:
        with pytest.raises(CodecError, match="image"):
            used.decode(other, SHAPE, "float32", "image")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from((*KINDS, "jpeg90")), st.data())
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


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


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


def test_noise_stays_within_the_largest_size() -> None:
    for name in ("png", "jpeg100"):
        for channels in (1, 3):
            noise = (np.random.default_rng(0).integers(0, 2, (channels, 200, 200)) * 255).astype(np.uint8)
            assert len(codec(name).encode(noise)) <= codec(name).largest_bytes(noise.shape, "uint8")


def test_a_file_that_the_device_has_is_sent_as_it_is() -> None:
    from PIL import Image

    pixels = smooth_pixels(16, 20, 3).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=75)
    back = codec("jpeg90").decode(file.getvalue(), (1, 3, 16, 20), "uint8")
    assert np.array_equal(back[0].transpose(1, 2, 0), np.array(Image.open(file)))


def test_without_pillow_pictures_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    used = codec("png")
    assert isinstance(used, PictureCodec)
    with pytest.raises(CodecError, match="pip install pillow, or use 'uint8"):
        used.encode(np.zeros((3, 4, 4), np.uint8))
