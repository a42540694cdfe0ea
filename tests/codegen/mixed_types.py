"""A bundle in which tensors of four types and of no dimension cross and come back, as a server has to carry them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from tests.codegen.flat_module import flat_module


class Mixed(nn.Module):
    """Tensors of four types and of no dimension cross and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor, places: torch.Tensor):
        value = torch.relu(self.first(x))
        large = value > 0.3
        scale = value.sum()
        best = value.argmax(1)
        answer = self.second(value * large) * scale
        return {
            "answer": answer,
            "half": answer.half() + 1,
            "least": answer.min(),
            "any": (answer > 0) | large[:, :5],
            "best": best + places,
        }


CUTS = {"server-only": [], "wide-1.2": ["relu", "argmax", "gt", "sum_1"], "device-only": None}


def call() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(3, 6, generator=generator), torch.tensor([1, 5, 2])


def write_mixed_bundle(folder: Path, formats: Sequence[str]) -> Path:
    torch.manual_seed(0)
    traced = flat_module(Mixed().eval(), call())
    plans = []
    for cut_id, seeds in CUTS.items():
        plans.append(CutPlan(cut_id, traced.closed_set(traced.ops if seeds is None else seeds), ()))
    directory = folder / "mixed.split"
    manifest = write_bundle(directory, traced.source, plans, formats=formats)
    crossing = {(wire.dtype, wire.shape) for wire in manifest.cut("wide-1.2").crossing}
    assert crossing >= {("float32", ()), ("bool", (3, 8)), ("int64", (3,))}
    return directory
