"""Weights of ops add up to those of the model, and a weight of several ops is counted where the first of them is."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import cic
from benchmarks.harness.bounded_oracles import placements
from benchmarks.harness.hand_made import graph_of
from benchmarks.harness.limited_problems import downstream, draw, weights_on_device
from cic.trace.op_weights import op_weights, spread


class Tied(nn.Module):
    """The first and the last layer use one weight; two layers side by side use another."""

    def __init__(self) -> None:
        super().__init__()
        self.outer, self.beside = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.outer(x))
        return self.outer(torch.relu(self.beside(first)) + torch.sigmoid(self.beside(first + 1)))


def network() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10)
    return nn.Sequential(*layers).eval()


def test_all_weights_of_a_model_are_counted_once() -> None:
    model = network()
    traced = cic.trace_model(model, (torch.rand(1, 3, 8, 8),))
    floats = sum(tensor.nbytes for tensor in [*model.parameters(), model[1].running_mean, model[1].running_var])
    counted = op_weights(traced)
    assert len(counted) == len(traced.graph.ops)
    assert sum(counted) == floats


def test_a_weight_of_several_ops_is_counted_with_the_first_or_with_each_that_is_beside() -> None:
    traced = cic.trace_model(Tied().eval(), (torch.rand(1, 8),))
    counted = op_weights(traced)
    # `outer` once, with the first op; `beside` twice, as neither layer depends on the other.
    assert sum(counted) == 3 * 8 * 8 * 4
    assert counted[0] == 8 * 8 * 4


def test_weights_of_an_onnx_model_are_counted_once_wherever_they_stand(tmp_path: Path) -> None:
    """One initializer of two products in a row, one that is turned round first, and a constant of a node."""
    weights = [numpy_helper.from_array(np.ones((8, 8), np.float32), name) for name in ("shared", "turned")]
    nodes = [
        helper.make_node("MatMul", ["x", "shared"], ["a"], "first"),
        helper.make_node("Transpose", ["turned"], ["b"], "turn"),
        helper.make_node("MatMul", ["a", "b"], ["c"], "second"),
        helper.make_node("MatMul", ["c", "shared"], ["d"], "third"),
        helper.make_node("Constant", [], ["e"], "constant", value=numpy_helper.from_array(np.ones(8, np.float32))),
        helper.make_node("Add", ["d", "e"], ["y"], "last"),
    ]
    float32 = TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, float32, [1, 8]) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "small", values[:1], values[1:], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "model.onnx")
    traced = cic.trace_model(tmp_path / "model.onnx")
    counted = dict(zip((op.members[0] for op in traced.graph.ops), op_weights(traced), strict=True))
    assert sum(counted.values()) == 2 * 8 * 8 * 4 + 8 * 4
    assert counted["first"] == 8 * 8 * 4


def test_counted_bytes_are_enough_for_every_side_and_exact_without_ops_beside_each_other() -> None:
    rng, exact = random.Random(1543), 0
    for _ in range(200):
        plain, _, asked = draw(rng, "weights", 6)
        counted = spread(graph_of(plain), asked.uses)
        for side in placements(plain):
            here = sum(size for size, on_device in zip(counted, side, strict=True) if on_device)
            needed = sum(size for size, users in asked.uses if any(side[op] for op in users))
            assert here == weights_on_device(plain, side, asked.uses)
            assert here >= needed
            ordered = all(users <= downstream(plain, min(users)) for _, users in asked.uses)
            exact += ordered
            assert not ordered or here == needed
    assert exact > 100
