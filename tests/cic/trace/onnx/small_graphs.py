"""Graphs of a few ONNX nodes."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from cic.cost.machine import Machine
from cic.graph import Graph
from cic.trace.onnx.onnx_trace import trace_onnx

BOARD = Machine("board", 1e10, 2e9, 1e-5)

FLOAT, UINT8, INT8 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8


def graph_of(folder: Path, nodes: list[onnx.NodeProto], given: dict[str, list[int]], made: str, **weights: object) -> Graph:
    """The graph of a model written by hand; weights by name, as tensors or as (type, sizes) of zeros."""
    held = []
    for name, weight in weights.items():
        kind, sizes = weight if isinstance(weight, tuple) else (FLOAT, weight)
        count = 1
        for size in sizes:
            count *= size
        held.append(helper.make_tensor(name, kind, sizes, [1] * count))
    inputs = [helper.make_tensor_value_info(name, FLOAT, sizes) for name, sizes in given.items()]
    outputs = [helper.make_tensor_value_info(made, FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "net", inputs, outputs, held), opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    )
    onnx.save(onnx.shape_inference.infer_shapes(model, data_prop=True), folder / "net.onnx")
    return trace_onnx(folder / "net.onnx").graph
