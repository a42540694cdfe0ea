"""Of the qualities of a kind some are tried at first, and those about the lowest that is not forbidden afterwards."""

from __future__ import annotations

import random

import pytest

from cic.codec.registry import LOSSY_PICTURES, is_coarser_picture
from cic.precision.picture_qualities import EVERY, PictureQualities
from cic.precision.wire_form import WireForm

JPEG = [name for name in LOSSY_PICTURES if name.startswith("jpeg") and not name.endswith("-444")]


def forms(names: list[str]) -> list[WireForm]:
    return [WireForm(name, 100, 0.0, 0.0, 0.0) for name in names]


def test_coarser_is_a_lower_quality_of_the_same_kind_of_file() -> None:
    assert is_coarser_picture("jpeg50", "jpeg75") and not is_coarser_picture("jpeg75", "jpeg50")
    for one, other in (("jpeg50", "jpeg75-444"), ("jpeg50", "webp75"), ("png", "webp75"), ("jpeg50", "png"), ("int4", "int8")):
        assert not is_coarser_picture(one, other)


def test_without_pictures_nothing_is_held_back() -> None:
    found = PictureQualities([forms(["raw", "int8", "int4"]), forms(["raw", "png", "jpeg75", "webp50"])])
    assert not found.held_back and not found.let_go([frozenset()])


@pytest.mark.parametrize("seed", range(20))
def test_all_qualities_about_the_lowest_that_is_left_are_tried(seed: int) -> None:
    """In whatever order the forms stand, and where more quality never keeps less."""
    draw = random.Random(seed)
    names = ["raw", *JPEG]
    draw.shuffle(names)
    keeps = draw.randrange(len(JPEG) + 1)
    missing = frozenset((0, place) for place, name in enumerate(names) if name in JPEG[keeps:])
    found = PictureQualities([forms(names)])
    assert len(found.held_back) < len(JPEG) * (1 - 1 / EVERY)
    forbidden, rounds = missing - found.held_back, 0
    while found.let_go([forbidden | found.held_back]):
        forbidden, rounds = missing - found.held_back, rounds + 1
    tried = {names[place] for place in range(len(names)) if (0, place) not in found.held_back}
    assert {JPEG[0], JPEG[-1]} <= tried and rounds <= 1
    if keeps > 0:
        assert JPEG[keeps - 1] in tried, "the lowest that keeps the target"
