"""Small networks trained in minutes on pictures that need no download, to measure on: `load("residual")`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]
CALIBRATION_PICTURES = 256


class Trained(NamedTuple):
    """A trained network and pictures it has not seen.

    model: in eval mode; takes float32 pictures as normalised by `input`.
    calibration, held_out: batches of (pictures, labels); no picture of one is in the other, or was trained on.
    input: the pictures' natural form on the wire, "uint8, mean=…, std=…".
    """

    model: nn.Module
    calibration: list[Batch]
    held_out: list[Batch]
    input: str


def names() -> tuple[str, ...]:
    """The networks there are."""
    from examples.trained.recipes import RECIPES

    return tuple(RECIPES)


def load(name: str, *, batch: int = 1, calibration: int = CALIBRATION_PICTURES, held_out: int | None = None) -> Trained:
    """A network trained before, or trained now (a minute or two) if its weights are not there.

    Args:
        name: one of `names()`.
        batch: pictures in a batch; CIC's shapes are fixed, so compile for a batch of this size.
        calibration, held_out: how many pictures; as many held out as the recipe says if not given (2,000 to classify, 200 to
            segment).

    Raises:
        KeyError: there is no network of that name.
    """
    from examples.trained.pictures import CALIBRATION, HELD_OUT, Pictures
    from examples.trained.recipes import RECIPES
    from examples.trained.train import train_and_keep, weights_path

    if name not in RECIPES:
        raise KeyError(f"there is no trained network {name!r}; there are {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    if not weights_path(name).exists():
        train_and_keep(name)
    network = recipe.network()
    network.load_state_dict(torch.load(weights_path(name), weights_only=True))

    def batches(data: Pictures) -> list[Batch]:
        pieces = zip(data.pixels.split(batch), data.labels.split(batch), strict=True)
        return [(recipe.normalisation.apply(pixels), labels) for pixels, labels in pieces if len(pixels) == batch]

    return Trained(
        network.eval(),
        batches(recipe.pictures(CALIBRATION, calibration)),
        batches(recipe.pictures(HELD_OUT, held_out or recipe.held_out)),
        recipe.normalisation.declaration(),
    )
