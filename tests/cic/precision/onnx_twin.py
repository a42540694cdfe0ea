"""The network of `tests.cic.inception` as an ONNX model, with the same weights: what holds for one must hold for the other."""

from __future__ import annotations

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.cic.inception import Inception


def onnx_twin(network: Inception) -> onnx.ModelProto:
    """Takes "image", 1 x 3 x 64 x 64, and answers "scores"."""
    weights = {name.replace(".", "_"): weight for name, weight in network.state_dict().items()}

    def convolution(name: str, source: str, stride: int, padding: int) -> list[onnx.NodeProto]:
        given = [source, f"{name}_weight", f"{name}_bias"]
        made = helper.make_node("Conv", given, [f"{name}_sums"], strides=[stride] * 2, pads=[padding] * 4)
        return [made, helper.make_node("Relu", [f"{name}_sums"], [name])]

    nodes = [
        *convolution("stem_0", "image", 2, 0),
        *convolution("left_0", "stem_0", 2, 1),
        *convolution("right_0", "stem_0", 2, 2),
        helper.make_node("Concat", ["left_0", "right_0"], ["both"], axis=1),
        *convolution("merge_0", "both", 1, 1),
        *convolution("merge_2", "merge_0", 1, 1),
        helper.make_node("ReduceMean", ["merge_2", "places"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "head_weight", "head_bias"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "twin",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(weight.numpy(), name) for name, weight in weights.items()]
        + [numpy_helper.from_array(torch.tensor([2, 3]).numpy(), "places")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
