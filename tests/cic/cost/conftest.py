"""A small network with branches, traced."""

import pytest
import torch
from torch import nn

from cic.trace.fx.torch_trace import trace


class Branches(nn.Module):
    """Convolutions, batch norm in place, a residual sum, a concatenation, a split, views and a keyword argument."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(inplace=True))
        self.left = nn.Conv2d(32, 32, 3, padding=1)
        self.right = nn.Conv2d(32, 32, 3, padding=1)
        self.join = nn.Conv2d(64, 32, 1)
        self.classify = nn.Linear(32, 10)

    def forward(self, image, *, scale):
        stem = self.stem(image)
        both = torch.cat([self.left(stem), self.right(stem)], dim=1)
        one, two = self.join(both).relu_().chunk(2, dim=1)
        mixed = torch.cat([one + two, one * scale], dim=1) + stem
        return {"scores": self.classify(mixed.mean((2, 3)).flatten(1)), "image": mixed.permute(0, 2, 3, 1)}


@pytest.fixture(scope="package")
def traced():
    torch.manual_seed(0)
    return trace(Branches().eval(), (torch.rand(1, 3, 48, 48),), {"scale": torch.rand(1)}, name="branches")
