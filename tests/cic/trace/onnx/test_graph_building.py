"""What a body captures is an input of its op, weights are not, and what depends on data may not cross."""

from __future__ import annotations

from pathlib import Path

from cic.trace.onnx.onnx_trace import trace_onnx
from tests.codegen import onnx_models
from tests.codegen.onnx_models import save


def test_what_depends_on_data_may_not_cross(tmp_path: Path):
    graph = trace_onnx(save(onnx_models.counting(), tmp_path / "m.onnx")).unfused
    assert {tensor.name: tensor.may_cross for tensor in graph.tensors} == {
        "x": True, "bent": True, "places": False, "found": False, "y": True,
    }  # fmt: skip


def test_captures_are_inputs_and_weights_are_not(tmp_path: Path):
    graph = trace_onnx(save(onnx_models.branching(), tmp_path / "m.onnx")).unfused
    assert set(graph.op_by_name["choose"].inputs) == {"flag", "early", "x", "late"}
    loop = trace_onnx(save(onnx_models.looping(), tmp_path / "l.onnx")).unfused.op_by_name["repeat"]
    assert set(loop.inputs) == {"start", "outside"} and loop.flops == 4 * (6 + 6 + 6)
