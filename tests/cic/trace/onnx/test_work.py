"""Work of ONNX nodes: the same as torch's where both have the op; quantised products count as such, loops all their trips."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from cic.cost.machine import Machine
from cic.cost.pricing import price
from cic.graph import Graph, Op
from cic.trace.fx.torch_trace import trace
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.formats.onnx_program import quiet_exporter

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


class Detector(nn.Module):
    """What YOLO networks are made of, in small."""

    def __init__(self) -> None:
        super().__init__()
        layers = [(3, 8, 3, 2), (8, 8, 3, 1), (16, 16, 1, 1)]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o), nn.SiLU()) for i, o, k, s in layers
        )
        self.head = nn.Conv2d(16, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](x)
        x = torch.cat([x, x + self.blocks[1](x)], 1)
        x = nn.functional.max_pool2d(self.blocks[2](x), 5, 1, 2)
        return self.head(nn.functional.interpolate(x, scale_factor=2.0)).flatten(2).sigmoid()


def test_the_same_network_costs_the_same_traced_from_torch_and_read_from_onnx(tmp_path: Path) -> None:
    model, call = Detector().eval(), (torch.rand(1, 3, 32, 32),)
    with quiet_exporter():
        torch.onnx.export(model, call, tmp_path / "net.onnx", dynamo=True, verbose=False)
    graphs = trace(model, call).graph, trace_onnx(tmp_path / "net.onnx").graph
    ours, theirs = (sum(price(graph, BOARD)) for graph in graphs)
    assert theirs == pytest.approx(ours, rel=0.03)
    assert [op.kinds[0] for op in graphs[0].ops] == [op.kinds[0] for op in graphs[1].ops], json.dumps(
        [[op.kinds for op in graph.ops] for graph in graphs]
    )


@pytest.mark.parametrize(
    "node, given, weights, least",
    [
        (helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik"), [4, 5], {"w": [5, 6]}, 2 * 4 * 5 * 6),
        (helper.make_node("CumSum", ["x", "a"], ["y"]), [4, 64], {"a": (TensorProto.INT64, [])}, 256),
        (helper.make_node("DeformConv", ["x", "w", "o"], ["y"], kernel_shape=[1, 1]), [1, 3, 4, 4],
         {"w": [2, 3, 1, 1], "o": [1, 2, 4, 4]}, 2 * 32 * 3 + 8 * 48),
        (helper.make_node("Resize", ["x", "", "k"], ["y"], mode="cubic"), [1, 1, 4, 4], {"k": [4]}, 32 * 16),
        (helper.make_node("GridSample", ["x", "g"], ["y"]), [1, 2, 8, 8], {"g": [1, 4, 4, 2]}, 16 * 32),
        (helper.make_node("ConvTranspose", ["x", "w"], ["y"]), [1, 3, 4, 4], {"w": [3, 2, 2, 2]}, 2 * 48 * 8),
        (helper.make_node("Det", ["x"], ["y"]), [2, 9, 9], {}, 2 * 2 * 9**3 // 3),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else None,
)  # fmt: skip
def test_work_that_output_size_does_not_show(
    tmp_path: Path, node: onnx.NodeProto, given: list[int], weights: dict[str, object], least: int
) -> None:
    (op,) = graph_of(tmp_path, [node], {"x": given}, "y", **weights).ops
    assert least <= op.flops <= 1.5 * least and op.memory_bytes > 0
