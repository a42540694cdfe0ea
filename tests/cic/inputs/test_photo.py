"""Photographs become what image models expect, or are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import cic
from cic.inputs.photo import read_photo, sample_photo


def test_the_photograph_is_normalised_and_fits() -> None:
    shown = read_photo(None, [(1, 3, 224, 160)])
    assert shown.shape == (1, 3, 224, 160) and shown.dtype == torch.float32 and shown.is_contiguous()
    # Pixels from 0 to 1, less the mean, over the deviation.
    assert -2.2 < float(shown.min()) < -1 < 1 < float(shown.max()) < 2.7
    assert float(shown.std()) > 0.5
    assert torch.equal(shown, read_photo(sample_photo(), [(1, 3, 224, 160)]))


def test_one_colour_stays_one_colour(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (50, 20), (255, 0, 51)).save(tmp_path / "red.png")
    shown = read_photo(tmp_path / "red.png", [(1, 3, 8, 8)])
    for channel, value, mean, deviation in zip(
        shown[0], (1, 0, 0.2), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
    ):
        assert torch.allclose(channel, torch.full((8, 8), (value - mean) / deviation), atol=1e-5)


@pytest.mark.parametrize("shapes", [[(1, 128)], [(1, 1, 28, 28)], [(2, 3, 8, 8)], [(1, 3, 8, 8), (1, 3, 8, 8)], []])
def test_a_photograph_does_not_fit_every_model(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(cic.CicError, match="fits a model with one input"):
        read_photo(None, shapes)


def test_pictures_without_pillow_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(cic.CicError, match="pip install pillow"):
        read_photo(None, [(1, 3, 8, 8)])
