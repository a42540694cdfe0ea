"""What a trial run shows counts: a branch that is never taken may misfit, and outputs of sizes from data are refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from cic.errors import TraceError
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.errors import UnsplittableError
from tests.cic.trace.onnx.answered import X, answers
from tests.cic.trace.onnx.closed_sets import closed_sets, split_at
from tests.codegen.onnx_models import constant, run_split, value
from tests.codegen.onnx_oddities import unchecked

CAST = helper.make_node("Cast", ["i"], ["c"], to=1)


def counted(op: str, *, steps: list, shape: list) -> onnx.ModelProto:
    """An output whose size the data decides."""
    if op == "Range":
        sums = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Abs", ["s"], ["a"])]
        nodes = [*sums, helper.make_node("Range", ["nought", "a", "one"], ["y"])]
    else:
        nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node(op, ["r"], ["i"], name="counts"), *steps]
    weights = [constant("nought", 0.0), constant("one", 1.0)]
    return unchecked(nodes, [value("x", [4, 4])], [value("y", shape)], weights)


def rarely() -> onnx.ModelProto:
    """One row, but for means that no draw has; the file says otherwise."""
    yes = helper.make_graph([helper.make_node("Concat", ["x", "x"], ["a"], axis=0)], "yes", [], [value("a", None)])
    no = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["b"])], "no", [], [value("b", None)])
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "limit"], ["flag"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=yes, else_branch=no),
    ]
    return unchecked(nodes, [value("x", [4, 4])], [value("y", [1, 1])], [constant("limit", 5.0)])


def test_values_resized_by_data_may_not_cross():
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=1),
        helper.make_node("Abs", ["mean"], ["a"]),
        helper.make_node("Add", ["a", "one"], ["scales"]),
        helper.make_node("Reshape", ["scales", "all"], ["flat"]),
        helper.make_node("Concat", ["flat", "flat"], ["both"], axis=0),
        helper.make_node("Resize", ["x", "", "both"], ["q"]),
        helper.make_node("ReduceMax", ["q"], ["y"], keepdims=0),
    ]
    weights = [constant("one", 1.0), constant("all", [-1], np.int64)]
    tensors = trace_onnx(unchecked(nodes, [value("x", [4, 4])], [value("y", [])], weights), (X,)).unfused.tensor_by_name
    assert not tensors["q"].may_cross and tensors["both"].may_cross


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (counted("NonZero", steps=[CAST, helper.make_node("Hardmax", ["c"], ["y"])], shape=[2, "k"]), "node 'counts', NonZero"),
        (counted("Unique", steps=[helper.make_node("Hardmax", ["i"], ["y"])], shape=["k"]), "node 'counts', Unique"),
        (counted("Range", steps=[], shape=["k"]), "it differed between trial runs"),
        (rarely(), "it differed between trial runs"),
    ],
    ids=["counted", "unique", "range", "rarely"],
)
def test_outputs_whose_size_depends_on_data_without_a_limit_are_refused_by_name(made: onnx.ModelProto, why: str):
    with pytest.raises(TraceError, match=rf"output 'y' has a size that depends on the data \({why}\) and has no known limit"):
        trace_onnx(made, (X,))


def test_a_branch_that_is_never_taken_may_misfit():
    """ONNX Runtime opens such a file, and refuses it with fixed shapes; halves then leave them open."""
    yes = helper.make_graph([helper.make_node("Neg", ["r"], ["a"])], "yes", [], [value("a", None)])
    no = helper.make_graph([helper.make_node("MatMul", ["r", "w"], ["b"])], "no", [], [value("b", None)])
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ReduceSum", ["flag"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["is"], to=9),
        helper.make_node("If", ["is"], ["q"], then_branch=yes, else_branch=no),
        helper.make_node("Exp", ["q"], ["y"]),
    ]
    inputs = [value("x", ["n", "m"]), value("flag", [1])]
    made = unchecked(nodes, inputs, [value("y", None)], [constant("w", np.ones((7, 7)))])
    flag = torch.ones(1)
    traced = trace_onnx(made, (X, flag))
    expected = answers(made, {"x": X.numpy(), "flag": flag.numpy()})["y"]
    for nodes_there in closed_sets(traced.unfused, 6):
        try:
            (result,) = run_split(split_at(traced, nodes_there, traced.unfused), [X.numpy(), flag.numpy()])
        except UnsplittableError:
            continue
        np.testing.assert_allclose(result, expected)
