"""A small network whose cuts cross one tensor or two, its images, and what compiling it with codecs gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.cost.machine import Machine
from cic.decision.splitting_model import SplittingModel
from cic.precision.precision import Precision

WEAK, STRONG = Machine("weak", 2e9, 1e9, 1e-5), Machine("strong", 2e11, 2e10, 1e-6)


class Inception(nn.Module):
    """A stem, two branches that meet, and a head: cuts cross one tensor or two."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU())
        self.left = nn.Sequential(nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(16, 8, 5, 2, 2), nn.ReLU())
        self.merge = nn.Sequential(nn.Conv2d(16, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.merge(torch.cat((self.left(x), self.right(x)), 1))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(4)
    return Inception().eval()


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    return torch.rand(24, 3, 64, 64, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="session")
def compiled(network: nn.Module, images: torch.Tensor) -> SplittingModel:
    return cic.compile(
        network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(calibration=[images], accuracy="rel<=0.03")
    )
