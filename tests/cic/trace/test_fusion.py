"""Fusing a graph: the runs a runtime fuses, and nothing that changes what may be cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cic.trace.fusion import fuse
from cic.trace.torch_trace import trace
from tests.cic.trace.graph_validity import assert_cuts_are_exact, assert_graph_valid


def kinds_of(model: nn.Module, *tensors: Tensor) -> list[tuple[str, ...]]:
    traced = trace(model, tensors)
    assert_graph_valid(traced.graph)
    assert_cuts_are_exact(traced, 5)
    assert fuse(traced.graph) == traced.graph
    return [op.kinds for op in traced.graph.ops]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.act, self.drop = nn.Hardswish(inplace=True), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(self.act(self.norm(self.conv(x)))) * 0.5 + torch.ones(3, 1, 1)
        y = x + y
        return (y.relu() > 0, y.relu())[1]


def test_runs_follow_single_readers() -> None:
    runs = [("conv2d", "batch_norm", "hardswish", "mul", "add"), ("add", "relu")]
    assert kinds_of(Block(), torch.randn(1, 3, 4, 4)) == runs


class Read(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> object:
        y = x.exp()
        return {
            "twice": lambda: y.relu() + y,
            "returned": lambda: (y, y.relu()),
            "returned_as_view": lambda: (y.view(-1), y.relu()),
            "narrower": lambda: y.to(torch.float16),
            "wider": lambda: y * torch.ones(5, 1, 1),
            "through_view": lambda: y.view(-1).relu(),
            "complex": lambda: torch.view_as_complex(y).mul(2).real,
        }[self.form]()


def test_what_must_stay_apart() -> None:
    x = torch.randn(3, 2)
    assert kinds_of(Read("twice"), x) == [("exp",), ("relu",), ("add",)]
    assert kinds_of(Read("returned"), x) == [("exp",), ("relu",)]
    assert kinds_of(Read("returned_as_view"), x) == [("exp",), ("relu",)]
    assert kinds_of(Read("narrower"), x) == [("exp",), ("to",)]
    assert kinds_of(Read("wider"), x) == [("exp",), ("mul",)]
    assert kinds_of(Read("through_view"), x) == [("exp", "relu")]
    assert ("exp", "view_as_complex") not in kinds_of(Read("complex"), x)
