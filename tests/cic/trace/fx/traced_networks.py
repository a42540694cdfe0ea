"""Networks that tests of tracing share, and what holds for each that is traced."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cic.trace.fx.traced_model import TracedModel
from codegen.torchvision_import import import_torchvision
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
    assert_equals_model,
    assert_graph_valid,
    assert_members_cover_module,
)


def picture_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    models = import_torchvision().models
    if name == "vision_transformer":
        return models.VisionTransformer(64, patch_size=16, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128)
    given = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, **given)


def assert_good(traced: TracedModel, model: nn.Module, cuts: int = 0) -> None:
    assert_graph_valid(traced.graph)
    assert_graph_valid(traced.unfused)
    assert_members_cover_module(traced)
    assert_equals_model(traced, model)
    if cuts:
        assert_cuts_are_exact(traced, cuts)


@dataclass
class Answer:
    score: Tensor
    extra: dict[str, Tensor | None]
    label: str = "cat"
    nothing: None = None


Pair = namedtuple("Pair", "first second")


class Structured(nn.Module):
    """Takes and returns everything that has a structure."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.layer = form, nn.Linear(4, 4)
        self.register_buffer("table", torch.arange(4.0))

    def forward(self, x: Tensor, *, states: dict[str, list[Tensor]], scale: float = 1.0, unused: Tensor | None = None):
        y = self.layer(x) * scale + states["b"][0] - states["a"][1]
        z = y.relu()
        return {
            "tuple": (y, (z, None), [x]),
            "dict": {"z": z, "a": y, "none": None, "text": "t", "number": 3},
            "dataclass": Answer(score=z, extra={"y": y, "n": None}),
            "namedtuple": Pair(second=y, first=z),
            "tensor": z,
            "input": (x, z.t(), x),
            "constant": (self.table, z),
            "view": (y.view(-1), y, z[:, None]),
        }[self.form]


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        if y.sum() > 0:  # the line the error names
            return y
        return -y


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x) + 1) + 1
