"""Halves that read numbers from tensors answer for every input, not with the numbers of the example."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import fx

from codegen.errors import CodegenError
from codegen.formats.scripting import numbers_from_data
from codegen.formats.torchscript import TorchScriptEmitter


def half_with_a_number(function: object = None) -> fx.GraphModule:
    """Return x * x.max().item(), or x * function(x.max().item())."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    largest = graph.call_function(torch.ops.aten.max.default, (x,))
    largest.meta["val"] = torch.empty(())
    number = graph.call_function(torch.ops.aten.item.default, (largest,))
    if function is not None:
        number = graph.call_function(function, (number,))
    graph.output((graph.call_function(torch.ops.aten.mul.Tensor, (x, number)),))
    return fx.GraphModule({}, graph)


def test_the_number_is_read_anew(tmp_path: Path):
    half = half_with_a_number()
    assert [node.name for node in numbers_from_data(half)] == ["item_default"]
    TorchScriptEmitter().write(half, (torch.randn(3),), tmp_path / "half.ts")
    run = TorchScriptEmitter().load(tmp_path / "half.ts", (), optimize=False)
    for x in torch.randn(5, 3):
        assert torch.equal(run(x)[0], x * x.max())


def test_what_no_script_can_hold_is_refused_by_name(tmp_path: Path):
    half = half_with_a_number(lambda number: math.nextafter(number, 0))
    with pytest.raises(CodegenError, match=r"the node item_default reads a number .* emit in the format exported_program"):
        TorchScriptEmitter().write(half, (torch.randn(3),), tmp_path / "half.ts")
    assert not (tmp_path / "half.ts").exists()


def test_fixed_sizes_are_no_numbers_from_data():
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output((graph.call_function(torch.ops.aten.view.default, (x, [3, 1])),))
    assert not list(numbers_from_data(fx.GraphModule({}, graph)))
