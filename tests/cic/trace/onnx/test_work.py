"""Work of ONNX nodes: the same as torch's where both have the op; quantised products count as such, loops all their trips."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from cic.cost.pricing import price
from cic.trace.fx.torch_trace import trace
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.formats.onnx_program import quiet_exporter
from tests.cic.trace.onnx.small_graphs import BOARD, graph_of


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
