"""Programs adapted to a processor compute the same, return as much as before, and stay in the blocked layout."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from codegen.formats.blocked_layout import enter_blocked_layout
from codegen.formats.torchscript import quiet_torchscript
from codegen.split import WireTensor

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


class Blocks(nn.Module):
    """Starts as a tail does: the input goes through convolutions and is added to their result."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor, y: torch.Tensor, places: torch.Tensor):
        x = torch.relu(self.first(x) + x)
        x = torch.relu(self.second(x) + x) + y
        return x, x.sum() + places


def frozen(model: nn.Module, *example: torch.Tensor) -> torch.jit.ScriptModule:
    with quiet_torchscript(), torch.no_grad():
        return torch.jit.freeze(torch.jit.trace(model.eval(), example, check_trace=False))


def wires(*tensors: torch.Tensor) -> list[WireTensor]:
    return [
        WireTensor(str(index), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.nbytes)
        for index, tensor in enumerate(tensors)
    ]


def test_the_layout_is_left_once():
    example = (torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.arange(3))
    model = Blocks()
    program = frozen(model, *example)
    enter_blocked_layout(program, wires(*example))
    kinds = Counter(node.kind() for node in program.graph.nodes())
    assert kinds["prim::mkldnn_convolution"] == 2
    assert kinds["aten::to_dense"] == 1, "an addition of the input left the blocked layout"
    assert kinds["aten::to_mkldnn"] == 2, "the integers need no conversion"
    with torch.no_grad():
        for _ in range(3):
            results = program(*example)
            assert len(results) == 2
            for result, expected in zip(results, model(*example), strict=True):
                torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_the_input_itself_is_left_alone():
    class Activated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor):
            return self.convolution(x), torch.relu(x), x

    x = torch.randn(1, 4, 8, 8)
    before, program = x.clone(), frozen(Activated(), x)
    enter_blocked_layout(program, wires(x))
    with torch.no_grad():
        for _ in range(3):
            _, activated, same = program(x)
            assert x.equal(before) and same.equal(before) and activated.equal(before.relu())


def test_a_program_without_convolutions_stays_as_it_is():
    x = torch.randn(2, 3, 4)
    program = frozen(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), x)
    text = str(program.graph)
    enter_blocked_layout(program, wires(x))
    assert str(program.graph) == text


class Pooled(nn.Module):
    def __init__(self, size: int | tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(size)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor):
        return (self.second(self.pool(torch.relu(self.first(x)))),)


@pytest.mark.parametrize(("size", "blocked"), [(1, True), (4, False), (7, False), ((3, 4), False), (16, False)])
def test_pooling_that_may_be_uneven_runs_outside_the_layout(size: int | tuple[int, int], blocked: bool):
    model, example = Pooled(size).eval(), torch.randn(1, 4, 8, 8)
    program = frozen(model, example)
    enter_blocked_layout(program, wires(example))
    kinds = Counter(node.kind() for node in program.graph.nodes())
    assert kinds["prim::mkldnn_convolution"] == 2
    assert (kinds["aten::_adaptive_avg_pool2d"] == 0) == blocked
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(program(example), model(example), rtol=1e-4, atol=1e-5)
