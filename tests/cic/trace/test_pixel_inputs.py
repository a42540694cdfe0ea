"""Floats become the pixels that they were made of, and pixels the floats that a model computes with."""

from __future__ import annotations

import pytest
import torch

from cic.codec.pixels import parse_normalisation
from cic.errors import CodecError
from cic.trace.pixel_inputs import floats_of, pixel_inputs
from tests.cic.trace.picture_networks import NORMALISATION, floats, pictures

OTHERS = torch.arange(6).reshape(2, 3), torch.rand(4, 4), torch.rand(1, 3, 8, 8).bfloat16()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_there_and_back(dtype: torch.dtype, layout: torch.memory_format) -> None:
    pixels = pictures(2).contiguous(memory_format=layout)
    normalised = floats_of(pixels, NORMALISATION, "x", str(dtype).removeprefix("torch."))
    inputs = pixel_inputs(NORMALISATION, ("x", "a", "b", "c"), (normalised, *OTHERS))
    assert normalised.dtype == dtype and normalised.stride() == pixels.stride()
    back, *others = inputs.pixels((normalised, *OTHERS))
    assert torch.equal(back, pixels) and back.stride() == pixels.stride()
    assert all(mine is theirs for mine, theirs in zip(others, OTHERS, strict=True)), "no pictures of floats"
    again, *others = inputs.values((pixels, *OTHERS))
    assert torch.equal(again, normalised) and all(mine is theirs for mine, theirs in zip(others, OTHERS, strict=True))
    assert inputs.pixels((pixels, *OTHERS))[0] is pixels and inputs.values((normalised, *OTHERS))[0] is normalised


def test_floats_of_no_pixels_are_refused_by_name_or_become_the_nearest() -> None:
    between = floats(pictures(1)) + 0.001
    inputs = pixel_inputs(NORMALISATION, ("image",), (between,))
    with pytest.raises(CodecError, match=r"image\[0, 0, 0, 0\] is .*, which no 8-bit pixel gives"):
        inputs.pixels((between,))
    assert torch.equal(inputs.pixels((between,), nearest=True)[0], pictures(1))
    wild = torch.full((1, 3, 4, 4), float("nan"))
    assert inputs.pixels((wild,), nearest=True)[0].dtype == torch.uint8


def test_another_number_of_channels_is_refused() -> None:
    four = torch.zeros(1, 4, 8, 8)
    with pytest.raises(CodecError, match=r"has the shape \(1, 4, 8, 8\), its normalisation 3 channels"):
        pixel_inputs(NORMALISATION, ("x",), (four,)).pixels((four,))
    grey = parse_normalisation("std=0.25")
    assert pixel_inputs(grey, ("x",), (four,)).pixels((four,))[0].shape == four.shape
