"""A small network, compiled for machines of which nothing is known."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

import cic


@cache
def unknown_network() -> tuple[nn.Module, cic.SplittingModel]:
    """The network and its splitting model."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    network = nn.Sequential(*layers).eval()
    return network, cic.compile(network, (torch.rand(1, 3, 64, 64),), device="unknown", server="unknown")
