"""A loop pays for every trip."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from cic.graph import Op
from cic.trace.onnx.onnx_trace import trace_onnx
from tests.cic.trace.onnx.small_graphs import FLOAT


def loop_of(folder: Path, trips: int, size: int) -> Op:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["state", "w"], ["next"]), helper.make_node("Identity", ["on"], ["still"])],
        "body",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (
            ("i", TensorProto.INT64, []), ("on", TensorProto.BOOL, []), ("state", FLOAT, [1, size]))],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []), helper.make_tensor_value_info("next", FLOAT, [1, size])],
    )  # fmt: skip
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    weights = {"n": (TensorProto.INT64, []), "w": [size, size]}
    held = [
        helper.make_tensor("n", TensorProto.INT64, [], [trips]),
        helper.make_tensor("w", FLOAT, weights["w"], [0.0] * size**2),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(name, FLOAT, [1, size])] for name in ("x", "y"))
    model = helper.make_model(
        helper.make_graph([node], "net", inputs, outputs, held), opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    )
    onnx.save(model, folder / "loop.onnx")
    (op,) = trace_onnx(folder / "loop.onnx").graph.ops
    return op


def test_a_loop_pays_for_every_trip(tmp_path: Path) -> None:
    once, often = loop_of(tmp_path, 1, 4), loop_of(tmp_path, 10, 4)
    assert often.flops == 10 * once.flops >= 10 * 2 * 16
    assert once.starts == once.reread_bytes == 0 and often.starts >= 9 and often.reread_bytes >= 9 * 4 * 16
