"""Shapes are those that the ops give, whatever a file declares."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import TensorProto, helper

import cic
from cic.errors import TraceError
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.splitters.onnx import wire_tensor
from tests.cic.trace.onnx.answered import MACHINES, X
from tests.codegen.onnx_models import counting, value
from tests.codegen.onnx_oddities import ODDITIES, stale, unchecked


def test_any_negative_size_is_open():
    made = unchecked([helper.make_node("Softmax", ["x"], ["y"])], [value("x", [-1, 4])], [value("y", [-1, 4])])
    assert trace_onnx(made, (torch.randn(3, 4),)).graph.tensor_by_name["y"].shape == (3, 4)
    assert trace_onnx(made, shapes={"x": (2, 4)}).graph.tensor_by_name["y"].shape == (2, 4)
    with pytest.raises(TraceError, match=r"open shape \(-1, 4\); .*--input 1x4\), or cic\.\w+\(…, shapes=\{'x': \(1, 4\)\}\)"):
        trace_onnx(made)
    assert cic.compile(cic.trace_model(made, shapes={"x": (2, 4)}), **MACHINES).proof.complete
    with pytest.raises(TraceError, match="shapes gives the open shapes of an ONNX file, and this model is a Linear"):
        cic.trace_model(torch.nn.Linear(4, 4), (X,), shapes={"x": (2, 4)})


def test_declared_shapes_within_are_not_believed():
    x = torch.randn(64, 4)
    tensors = trace_onnx(stale(loop=False), (x,)).unfused.tensor_by_name
    assert [(tensors[name].shape, tensors[name].bytes) for name in "msy"] == [((64, 8), 2048)] * 3
    tensors = trace_onnx(stale(loop=True), (x,)).unfused.tensor_by_name
    assert tensors["end"].shape == (64, 4) and tensors["end"].may_cross and tensors["rows"].shape == (3,)
    assert not trace_onnx(stale(loop=True, grows=True), (x,)).unfused.tensor_by_name["end"].may_cross


def test_sizes_that_depend_on_data_are_no_part_of_the_digest():
    def digest(traced: OnnxModel) -> str:
        return traced.graph.digest

    for made in (counting(), ODDITIES["count_used_elsewhere"](), ODDITIES["branches_of_two_shapes"]()):
        shape = (3, 4) if made.graph.name == "hand_made" else (4, 4)
        draws = [torch.randn(shape), torch.ones(shape), -torch.ones(shape), torch.zeros(shape)]
        assert len({digest(trace_onnx(made, (x,))) for x in draws}) == 1


def best_few() -> onnx.ModelProto:
    takes = [value("x", [4, 4]), value("k", [1], TensorProto.INT64)]
    return unchecked([helper.make_node("TopK", ["x", "k"], ["y", "places"])], takes, [value("y", [4, "k"])])


def test_a_number_of_results_that_is_an_input_is_at_most_that_of_the_values():
    traced = trace_onnx(best_few(), (X, torch.tensor([2])))
    (wire,) = map(wire_tensor, traced.model.graph.outputs)
    assert wire.shape == (4, 4) and 1 in wire.open_axes
    assert not traced.graph.tensor_by_name["y"].may_cross
