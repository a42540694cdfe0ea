"""Models whose answers share memory with what stays in them, and their halves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.loading import LoadedCut, load_cut
from tests.codegen.flat_module import flat_module

FORMATS = ("torchscript", "exported_program")


class Answers(nn.Module):
    """Constants made at each call, also a large one, weights and views of them; an input, and views that share memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: torch.Tensor, factor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = (x @ self.weight).relu() * factor
        positions = torch.arange(12.0)
        made = positions, positions.view(3, 4), torch.full((), 2.0), torch.zeros(1).expand(4)
        return y, y[0], x, *made, self.weight, self.weight.t(), self.scale, torch.zeros(40, 30)


class Cells(nn.Module):
    """Recurrent cells that start from constants, twice from the same one."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.lstm = nn.GRUCell(6, 5), nn.LSTMCell(6, 5)
        self.state = nn.Parameter(torch.randn(2, 5))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.gru(x), self.gru(2 * x), self.gru(x, self.state), *self.lstm(x, (self.state, self.state))


@pytest.fixture
def unverified(monkeypatch) -> None:
    """What emit would check in fresh processes is checked here."""
    monkeypatch.setattr("codegen.bundle.bundle._verified", lambda building, manifest, *_: manifest)


def cuts_of(model: nn.Module, example: tuple[torch.Tensor, ...], folder: Path, format_name: str, **options) -> list[LoadedCut]:
    traced = flat_module(model.eval(), example)
    plans = [CutPlan("none", frozenset(), ()), CutPlan("all", frozenset(traced.ops), ())]
    write_bundle(folder, traced.source, plans, formats=(format_name,), **options)
    return [load_cut(folder, plan.id) for plan in plans]
