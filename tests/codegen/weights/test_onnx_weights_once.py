"""Weights are stored as the model has them, and none stays in a body or a node, where it could not be shared; the answers
stay."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from codegen.formats.onnx_program import export
from codegen.formats.onnx_session import open_session, runner_of
from codegen.weights.onnx_weights_once import hoisted
from tests.codegen.flat_module import flat_module


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(300, 16), nn.Linear(16, 300, bias=False)
        self.out.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.table(ids).relu())


def run(model: onnx_ir.Model, *inputs: object) -> tuple[object, ...]:
    return runner_of(open_session(onnx_ir.to_proto(model).SerializeToString(), "model"), "model")(*inputs)


def large(model: onnx_ir.Model) -> list[onnx_ir.Value]:
    return [value for value in model.graph.initializers.values() if value.const_value.nbytes >= 4096]


def test_a_tied_weight_is_there_once_and_not_transposed():
    model, ids = Tied().eval(), torch.randint(0, 300, (1, 6))
    exported = export(flat_module(model, (ids,)).source.module, (ids,), "tied")
    (weight,) = large(exported)
    assert np.array_equal(weight.const_value.numpy(), model.table.weight.detach().numpy())
    with torch.no_grad():
        torch.testing.assert_close(run(exported, ids)[0], model(ids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("in_node", [False, True], ids=["initializer", "Constant"])
def test_the_weights_of_bodies_and_nodes_move_out_of_them(in_node: bool):
    def value(name: str, shape: list[int], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((40, 40)).astype("f4") / 40, "W")
    step = [helper.make_node("MatMul", ["s", "W"], ["s2"]), helper.make_node("Identity", ["c"], ["c2"])]
    takes = [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("s", [1, 40])]
    gives = [value("c2", [], TensorProto.BOOL), value("s2", [1, 40])]
    if in_node:
        step.insert(0, helper.make_node("Constant", [], ["W"], value=weight))
    body = helper.make_graph(step, "body", takes, gives, [] if in_node else [weight])
    loops = [helper.make_node("Loop", ["n", "", start], [end], body=body) for start, end in (("x", "m"), ("m", "y"))]
    count = numpy_helper.from_array(np.array(3), "n")
    if in_node:  # outside of bodies, too, and of another kind
        numbers = numpy_helper.to_array(weight).reshape(-1).tolist()
        loops += [helper.make_node("Constant", [], ["V"], value_floats=numbers), helper.make_node("Add", ["V", "V"], ["V2"])]
        loops += [helper.make_node("ReduceSum", ["V2"], ["v"]), helper.make_node("Mul", ["y0", "v"], ["y"])]
        loops[1].output[0] = "y0"
    graph = helper.make_graph(loops, "g", [value("x", [1, 40])], [value("y", [1, 40])], [count])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.ones((1, 40), "f4")
    before = run(onnx_ir.from_proto(proto), x)[0]
    model = onnx_ir.from_proto(proto)
    hoisted(model)
    assert len(large(model)) == 2 + in_node and all(not part.initializers for part in model.graph.subgraphs())
    assert all(node.op_type != "Constant" for node in model.graph.all_nodes())
    assert np.allclose(run(model, x)[0], before)
