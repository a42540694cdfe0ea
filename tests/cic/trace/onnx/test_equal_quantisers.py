"""Quantisers that do the same are one op, and those that only look alike stay apart."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import cic
from cic.precision.model_runner import runner_of

SCALE, ZERO = np.float32(0.05), np.uint8(128)


def pair(number: int, source: str = "r", scale: object = SCALE, zero: object = ZERO, axis: int | None = None, domain: str = ""):
    """Nodes that quantise `source` to "q<number>" and make floats "d<number>" of it, and their weights."""
    along = {"domain": domain} if axis is None else {"domain": domain, "axis": axis}
    repeated = [np.asarray(each if axis is None else np.repeat(each, 4)) for each in (scale, zero)]
    names = [f"s{number}", f"z{number}"]
    nodes = [
        helper.make_node("QuantizeLinear", [source, *names], [f"q{number}"], **along),
        helper.make_node("DequantizeLinear", [f"q{number}", *names], [f"d{number}"], **along),
    ]
    return nodes, [numpy_helper.from_array(array, name) for array, name in zip(repeated, names, strict=True)]


def two_pairs(first: dict[str, object], second: dict[str, object], returned: tuple[str, ...] = ()) -> onnx.ModelProto:
    (nodes, weights), (more_nodes, more_weights) = pair(1, **first), pair(2, **second)
    before = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Exp", ["x"], ["e"])]
    after = [helper.make_node("Max", ["d1", "d2"], ["m"]), helper.make_node("Add", ["m", "e"], ["y"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 4])]
    outputs += [helper.make_tensor_value_info(name, TensorProto.UINT8, [4, 4]) for name in returned]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])]
    graph = helper.make_graph([*before, *nodes, *more_nodes, *after], "pairs", given, outputs, [*weights, *more_weights])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)], ir_version=10
    )


@pytest.mark.parametrize(
    ("first", "second", "returned", "kept"),
    [
        ({}, {}, (), 1),
        ({}, {}, ("q1",), 1),
        ({}, {}, ("q2",), 2),
        ({}, {"scale": np.float32(0.06)}, (), 2),
        ({}, {"zero": np.uint8(127)}, (), 2),
        ({}, {"source": "e"}, (), 2),
        ({"domain": "com.microsoft"}, {"domain": "com.microsoft"}, (), 1),
        ({"axis": 1}, {"axis": 1}, (), 1),
        ({"axis": 1}, {"axis": 0}, (), 2),
    ],
)
def test_only_equal_quantisers_become_one_and_halves_give_what_the_model_gives(
    first: dict[str, object], second: dict[str, object], returned: tuple[str, ...], kept: int
) -> None:
    traced = cic.trace_model(two_pairs(first, second, returned))
    small = [tensor for tensor in traced.graph.tensors if tensor.dtype == "uint8"]
    assert len(small) == kept and all(tensor.may_cross for tensor in small)
    assert not {"d1", "d2"} & traced.graph.tensor_by_name.keys(), "no float stands between quantised values and their reader"
    runner, sample = runner_of(traced), (torch.randn(4, 4, generator=torch.Generator().manual_seed(1)),)
    whole, ops = runner.whole(sample), traced.graph.ops
    for count in range(len(ops) + 1):
        halves = runner.halves([member for op in ops[:count] for member in op.members])
        made = halves.head(*sample)
        by_half = {"head": made, "tail": halves.tail(*made[: len(halves.crossing)])}
        for source, expected in zip(halves.outputs, whole, strict=True):
            assert torch.allclose(by_half[source.half][source.position], expected, rtol=1e-5)
