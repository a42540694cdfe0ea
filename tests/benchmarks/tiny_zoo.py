"""A family for the tests of the zoo: two models that are split, one that ends its process, one that hangs, one refused."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.zoo_table.specimen import Built, Specimen


class Crashes(nn.Module):
    """Takes its process down while it is traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGSEGV)
        return x


class Hangs(nn.Module):
    """Does not come back."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(600)
        return x


class Random(nn.Module):
    """Cannot be split."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(3)


def _built(model: nn.Module) -> Specimen:
    def build(_: Path) -> Built:
        return Built(model.eval(), ((torch.randn(2, 3),), {}), ((torch.arange(6.0).reshape(2, 3),), {}))

    return Specimen(build)


def _broken(_: Path) -> Built:
    raise RuntimeError("this model cannot be built")


MODELS = {
    "crashes": _built(Crashes()),
    "narrow": _built(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 4))),
    "hangs": _built(Hangs()),
    "wide": _built(nn.Sequential(nn.Linear(3, 200), nn.Tanh(), nn.Linear(200, 1))),
    "refused": _built(Random()),
    "broken": Specimen(_broken),
}
