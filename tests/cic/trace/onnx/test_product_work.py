"""Products of ONNX cost what torch's do, and quantised ones count as products of small integers."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from cic.cost.pricing import price
from cic.graph import Graph
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.onnx.small_graphs import BOARD, FLOAT, INT8, UINT8, graph_of


@pytest.mark.parametrize("kind, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_cost_what_torch_s_cost(tmp_path: Path, kind: str, gates: int, directions: int) -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(nn, kind)(3, 5, bidirectional=directions == 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0]

    (ours,) = trace(Layer(), (torch.randn(9, 2, 3),)).graph.ops
    node = helper.make_node(
        kind, ["x", "w", "r"], ["y"], hidden_size=5, direction="bidirectional" if directions == 2 else "forward"
    )
    shapes = {"w": [directions, 5 * gates, 3], "r": [directions, 5 * gates, 5]}
    (op,) = graph_of(tmp_path, [node], {"x": [9, 2, 3]}, "y", **shapes).ops
    assert (op.flops, op.starts, op.reread_bytes) == (ours.flops, ours.starts, ours.reread_bytes)
    assert op.starts == 9 * directions - 1
    assert price(Graph("", (op,), (), (), ()), BOARD) == pytest.approx(price(Graph("", (ours,), (), (), ()), BOARD), rel=0.05)


def quantised_nodes() -> list[onnx.NodeProto]:
    """Quantise, convolve between DequantizeLinear and QuantizeLinear with a ReLU within, and give floats back."""
    return [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["dw"]),
        helper.make_node("Conv", ["d", "dw"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", "s", "z"], ["d2"]),
        helper.make_node("MaxPool", ["d2"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("QuantizeLinear", ["p", "s", "z"], ["q3"]),
        helper.make_node("DequantizeLinear", ["q3", "s", "z"], ["y"]),
    ]


QUANTISED = {"s": [], "z": (UINT8, []), "zw": (INT8, []), "w": (INT8, [4, 3, 1, 1])}


def test_quantised_products_are_one_op_of_small_integers(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, quantised_nodes(), {"x": [1, 3, 8, 8]}, "y", **QUANTISED)
    kinds = [op.kinds for op in graph.ops]
    convolution = ("conv2d", "relu", "quantize_linear")
    assert kinds == [("quantize_linear",), convolution, ("max_pool2d", "quantize_linear"), ("dequantize_linear",)]
    op = graph.ops[1]
    assert op.arithmetic == "int8" and op.flops > 2 * 4 * 64 * 3
    assert op.memory_bytes <= 3 * 64 + 12 + 4 * 64 + 24  # small forms in and out, scales aside
    crossing = [tensor for tensor in graph.tensors if tensor.producer == op.name]
    assert [(tensor.dtype, tensor.bytes) for tensor in crossing] == [("uint8", 4 * 64)]
    assert graph.tensor_by_name[graph.outputs[0]].dtype == "float32"


@pytest.mark.parametrize("form", ["ConvInteger", "QLinearConv"])
def test_ops_on_integers_multiply_in_int8(tmp_path: Path, form: str) -> None:
    parameters = ["q", "w"] if form == "ConvInteger" else ["q", "s", "z", "w", "s", "zw", "s", "z"]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node(form, parameters, ["c"])]
    graph = graph_of(
        tmp_path, [*nodes, helper.make_node("Cast", ["c"], ["y"], to=FLOAT)], {"x": [1, 3, 8, 8]}, "y", **QUANTISED
    )
    (op,) = [op for op in graph.ops if "conv2d" in op.kinds]
    assert op.arithmetic == "int8" and op.flops >= 2 * 4 * 64 * 3


def test_a_quantised_product_has_another_signature_than_one_of_floats(tmp_path: Path) -> None:
    nodes = [*quantised_nodes()[1:4], helper.make_node("Conv", ["d0", "dw"], ["y0"])]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), *nodes[:3],
        helper.make_node("Sqrt", ["x"], ["d0"]), nodes[3], helper.make_node("Sub", ["c", "y0"], ["y"]),
    ]  # fmt: skip
    graph = graph_of(tmp_path, nodes, {"x": [1, 3, 8, 8]}, "y", **QUANTISED)
    products = [op for op in graph.ops if "conv2d" in op.kinds]
    assert [op.arithmetic for op in products] == ["int8", "float32"]
    assert len({op.signature for op in products}) == 2
