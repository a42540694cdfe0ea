"""Fusing a graph: the runs a runtime fuses, and nothing that changes what may be cut."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fusion import fuse
from cic.trace.fx.torch_trace import trace
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


class WrittenOut(nn.Module):
    """Activations as ONNX files and old code write them: their input is read more than once."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.conv, self.form = nn.Conv2d(3, 4, 1), form

    def forward(self, x: Tensor) -> object:
        y = self.conv(x)
        return {
            "silu": lambda: y * y.sigmoid(),
            "gelu": lambda: 0.5 * y * (1 + (y / 2**0.5).erf()),
            "gelu_tanh": lambda: 0.5 * y * (1 + (0.79788456 * (y + 0.044715 * y**3)).tanh()),
            "mish": lambda: y * y.exp().log1p().tanh(),
            "twice": lambda: (y * y.sigmoid()) * (y * y.sigmoid()).sigmoid(),
            "narrower": lambda: y.relu().to(torch.float16),
        }[self.form]()


@pytest.mark.parametrize("form", ["silu", "gelu", "gelu_tanh", "mish", "twice", "narrower"])
def test_activations_written_out_join_the_run(form: str) -> None:
    model, x = WrittenOut(form), torch.randn(1, 3, 4, 4)
    (kinds,) = kinds_of(model, x)
    assert kinds[0] == "conv2d" and len(kinds) > 2
    (op,) = trace(model, (x,)).graph.ops
    answer = 2 if form == "narrower" else 4
    assert op.memory_bytes == 4 * (3 * 16 + 3 * 4 + 4) + answer * 4 * 16  # what is between is not moved


def test_how_a_run_is_wired_is_part_of_its_signature() -> None:
    x = torch.randn(1, 3, 4, 4)
    signatures = {form: trace(WrittenOut(form), (x,)).graph.ops[0].signature for form in ("silu", "mish", "twice")}
    assert len(set(signatures.values())) == 3


class Read(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> object:
        y = x.exp()
        return {
            "other_reader": lambda: (y.relu() + y, y.sum()),
            "inner_returned": lambda: (y.relu(), y.relu() + y),
            "smaller_inside": lambda: torch.where((y > 0).logical_not(), y, y * 2.0),
            "returned": lambda: (y, y.relu()),
            "returned_as_view": lambda: (y.view(-1), y.relu()),
            "wider": lambda: y * torch.ones(5, 1, 1),
            "through_view": lambda: y.view(-1).relu(),
            "complex": lambda: torch.view_as_complex(y).mul(2).real,
        }[self.form]()


def test_what_must_stay_apart() -> None:
    x = torch.randn(3, 2)
    assert kinds_of(Read("other_reader"), x) == [("exp",), ("relu",), ("add",), ("sum",)]
    assert kinds_of(Read("inner_returned"), x) == [("exp",), ("relu",), ("relu",), ("add",)]
    assert ("exp",) in kinds_of(Read("smaller_inside"), x)
    assert kinds_of(Read("returned"), x) == [("exp",), ("relu",)]
    assert kinds_of(Read("returned_as_view"), x) == [("exp",), ("relu",)]
    assert kinds_of(Read("wider"), x) == [("exp",), ("mul",)]
    assert kinds_of(Read("through_view"), x) == [("exp", "relu")]
    assert ("exp", "view_as_complex") not in kinds_of(Read("complex"), x)
