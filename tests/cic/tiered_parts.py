"""A small network whose tensors shrink, compiled for three machines in a row, and the parts of one of its cuts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cic

TIERS = ("raspberry-pi-zero-2w", "epyc-7742-1-thread", "tesla-v100")
X = torch.randn(1, 3, 64, 64)


class Shrinking(nn.Module):
    """Tensors shrink, one is read late again, and one output is made early."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, 1, 1)
        self.third, self.last = nn.Conv2d(32, 8, 3, 2, 1), nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        first = torch.relu(self.first(x))
        second = torch.relu(self.second(first))
        third = torch.relu(self.third(second + first))
        return {"early": first.mean((2, 3)), "answer": self.last(nn.functional.adaptive_avg_pool2d(third, 4).flatten(1))}


@pytest.fixture(scope="session")
def shrinking() -> Shrinking:
    torch.manual_seed(0)
    return Shrinking().eval()


@pytest.fixture(scope="session")
def tiered(shrinking: Shrinking) -> cic.TieredModel:
    """Every cut has ops on all three machines."""
    names = [op.name for op in cic.trace_model(shrinking, (X,)).graph.ops]
    return cic.compile_tiers(shrinking, (X,), tiers=TIERS, pins={names[0]: 0, names[2]: 1, names[-1]: 2})


@pytest.fixture(scope="session")
def tiered_parts(shrinking: Shrinking, tiered: cic.TieredModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("emitted") / "small.tiers.d"
    cic.emit_tiers(shrinking, tiered, directory, cuts=[tiered.cuts[0].id], verify_on=[((torch.randn(1, 3, 64, 64),), {})])
    return directory
