"""The pictures that networks are trained and measured on are always the same, and training on them is, too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cic.codec.registry import codec
from examples import trained
from examples.trained import shapes
from examples.trained.pictures import CALIBRATION, HELD_OUT, TRAINING, Normalisation, digit_pictures, digits_of
from examples.trained.recipes import COLOUR, GREY, RECIPES
from examples.trained.train import accuracy, digest, train


def test_a_picture_does_not_depend_on_how_many_are_rendered() -> None:
    many, labels = shapes.classification(5, 4)
    one, label = shapes.classification(5, 1, start=3)
    assert np.array_equal(many[3:], one) and labels[3] == label[0]
    assert len({picture.tobytes() for picture in many}) == 4
    assert not np.array_equal(many, shapes.classification(6, 4)[0])


def test_all_classes_appear_about_equally_often() -> None:
    labels = shapes.classification(1, 240)[1]
    counts = np.bincount(labels, minlength=len(shapes.CLASSES))
    assert len(counts) == len(shapes.CLASSES) == 12
    assert counts.min() >= 6


def test_segments_are_where_the_shapes_are() -> None:
    pixels, segments = shapes.segmentation(2, 20)
    assert pixels.shape == (20, 3, shapes.SIDE, shapes.SIDE) and segments.shape == (20, shapes.SIDE, shapes.SIDE)
    assert set(np.unique(segments)) == set(range(len(shapes.SEGMENTS)))
    assert 0.5 < (segments == 0).mean() < 0.95


def test_no_digit_is_in_two_splits() -> None:
    splits = [digits_of(split, 1797) for split in (TRAINING, CALIBRATION, HELD_OUT)]
    assert sorted(np.concatenate(splits)) == list(range(1797))
    assert min(map(len, splits)) > 150


def test_digits_are_always_placed_the_same_way() -> None:
    pixels = digit_pictures(HELD_OUT, 8).pixels
    assert pixels.shape == (8, 1, 32, 32) and pixels.dtype == torch.uint8
    assert torch.equal(digit_pictures.__wrapped__(HELD_OUT, 8).pixels, pixels)
    assert not torch.equal(digit_pictures(CALIBRATION, 8).pixels, pixels)


@pytest.mark.parametrize("normalisation", [COLOUR, GREY])
def test_pixels_cross_instead_of_the_normalised_input(normalisation: Normalisation) -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(1, len(normalisation.mean), 1, 1)
    values, declared = normalisation.apply(pixels), codec(normalisation.declaration())
    payload = declared.encode(values)
    assert len(payload) < 1.1 * pixels.numel()
    restored = declared.decode(payload, values.shape, "float32")
    assert np.allclose(restored, values.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", trained.names())
def test_every_network_scores_its_pictures(name: str) -> None:
    recipe = RECIPES[name]
    data = recipe.pictures(CALIBRATION, 2)
    scores = recipe.network().eval()(recipe.normalisation.apply(data.pixels))
    assert scores.argmax(1).shape == data.labels.shape
    assert scores.shape[1] > int(data.labels.max())


def test_training_learns_and_can_be_repeated() -> None:
    recipe = dataclasses.replace(RECIPES["digits"], epochs=3)
    first, second = (train(recipe, pictures=480, report=False) for _ in range(2))
    assert digest(first.state_dict()) == digest(second.state_dict())
    held_out = recipe.pictures(HELD_OUT, 200)
    untrained = recipe.network().eval()
    assert accuracy(first, recipe, held_out) > 0.5 > accuracy(untrained, recipe, held_out)


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="there are digits"):
        trained.load("resnet50")
