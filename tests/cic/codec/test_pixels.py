"""Images cross as the pixels they were made of, and come back bit by bit, or are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.crossing import cross
from cic.codec.registry import codec, entropy_here, input_codecs
from cic.errors import CodecError
from tests.cic.codec.pictures_to_send import IMAGENET, KINDS, MEAN, STD, normalised


def random_pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


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
    "webp0": "there is no codec 'webp0'",
    "webp": "there is no codec",
    "webp75+zstd": "there is no codec",
    "webp75-444": "there is no codec",
    "jpeg75-420": "there is no codec",
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
    for name in input_codecs(f" uint8,std = 0.229  0.224 0.225 ,{IMAGENET[: IMAGENET.index(', std')]}", lossy=True):
        assert codec(codec(name).name) == codec(name)
        assert name.endswith(IMAGENET)
