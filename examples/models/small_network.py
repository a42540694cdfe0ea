"""A small convolutional network with a narrow place in the middle, where splitting pays."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallNetwork(nn.Module):
    """Images (batch, 3, 224, 224) to 1000 scores; the bottleneck holds 4 channels of 14 x 14, 3 kB."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.narrow = nn.Conv2d(64, 4, 3, stride=2, padding=1)
        self.wide = nn.Sequential(nn.Conv2d(4, 512, 3, padding=1), nn.ReLU(), nn.Conv2d(512, 512, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(512, 1000)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.wide(self.narrow(self.stem(image))).mean((2, 3)))


def make_network_and_image() -> tuple[SmallNetwork, Tensor]:
    """The network with fixed random weights, and an image of noise."""
    torch.manual_seed(0)
    return SmallNetwork().eval(), torch.rand(1, 3, 224, 224)
