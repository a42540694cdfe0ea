"""What is trained: five networks by name, each with its pictures and how long it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from examples.trained import networks
from examples.trained.pictures import Normalisation, Pictures, digit_pictures, segmented_pictures, shape_pictures
from examples.trained.shapes import CLASSES, SEGMENTS

COLOUR = Normalisation((0.485, 0.456, 0.406), (0.25, 0.25, 0.25))
GREY = Normalisation((0.25,), (0.25,))
SEED = 20


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    build: makes the network. pictures: (split, count) to `Pictures`. normalisation: of its input.
    training, held_out: how many pictures. epochs: how often it sees each. learning_rate: the highest, of one cycle.
    symmetric: whether a picture mirrored or turned by right angles means the same. batch: pictures a step.
    """

    build: Callable[[], nn.Module]
    pictures: Callable[[int, int], Pictures]
    normalisation: Normalisation
    training: int
    held_out: int
    epochs: int
    learning_rate: float
    symmetric: bool
    batch: int = 16

    def network(self) -> nn.Module:
        """The network as training starts with it."""
        torch.manual_seed(SEED)
        return self.build()


_shapes = partial(Recipe, pictures=shape_pictures, normalisation=COLOUR, training=6000, held_out=2000, symmetric=True)

RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        partial(networks.residual_network, 1, 10, (16, 32, 64), 1), digit_pictures, GREY, 5090, 2000, 6, 0.004, False
    ),
    "residual": _shapes(partial(networks.residual_network, 3, len(CLASSES), (24, 48, 96), 2), epochs=6, learning_rate=0.003),
    "mobile": _shapes(
        partial(networks.inverted_residual_network, 3, len(CLASSES), (16, 24, 40, 64)), epochs=8, learning_rate=0.006
    ),
    "inception": _shapes(partial(networks.inception_network, 3, len(CLASSES), (12, 20, 28)), epochs=5, learning_rate=0.003),
    "unet": Recipe(
        partial(networks.UNet, 3, len(SEGMENTS), (8, 16, 32, 48)), segmented_pictures, COLOUR, 1000, 200, 5, 0.005, True, 8
    ),
}
