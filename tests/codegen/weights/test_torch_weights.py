"""Views and ties of torch's weights are kept, and what is written is not shared."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from codegen.formats.onnx_session import open_session, open_sharing, runner_of
from codegen.weights.onnx_weights import BareGraph
from codegen.weights.torch_weights import share, written_attributes


class Tangled(nn.Module):
    """Tied weights, a transposed one, a view of another, one matrix that is written to and one written through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
        self.other.weight = self.one.weight
        self.turned = nn.Parameter(torch.randn(64, 64).t())
        self.register_buffer("many", torch.randn(3, 64, 64))
        self.register_buffer("part", self.many[1])
        self.register_buffer("count", torch.randn(64, 64))
        self.register_buffer("through", torch.randn(64, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        self.through.reshape(8, 512)[0].mul_(2)
        return self.one(x) + self.other(x) @ self.turned + x @ self.part + x @ self.many[2] + x @ self.count + x @ self.through


@pytest.mark.filterwarnings("ignore")
def test_views_and_ties_are_kept_and_what_is_written_is_not_shared():
    torch.manual_seed(0)
    model, x = Tangled().eval(), torch.randn(2, 64)
    program = torch.export.export(model, (x,), strict=False)
    modules = [copy.deepcopy(program).module() for _ in range(3)]
    alone = modules.pop()
    kinds = {name: getattr(alone, name) for name in ("turned", "many", "count", "through")} | {"weight": alone.one.weight}
    pool = {name: bytes_of(tensor).clone() for name, tensor in kinds.items()}
    weights = {hashlib.sha256(raw.numpy().data).hexdigest(): raw for raw in pool.values()}
    strides = [getattr(alone, name).stride() for name in ("turned", "many", "part")]
    for module in modules:
        assert {id(tensor) for tensor in written_attributes(module)} == {id(module.count), id(module.through)}
        used = share(module, weights)
        assert {raw.data_ptr() for raw in used} == {pool[name].data_ptr() for name in ("turned", "many", "weight")}
        assert module.one.weight.data_ptr() == module.other.weight.data_ptr() == pool["weight"].data_ptr()
        assert module.part.data_ptr() == module.many[1].data_ptr() == pool["many"].data_ptr() + 64 * 64 * 4
        assert [getattr(module, name).stride() for name in ("turned", "many", "part")] == strides
    with torch.no_grad():
        for _ in range(2):
            expected = alone(x)
            assert all(module(x).equal(expected) for module in modules)


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def test_weights_inside_of_an_op_come_along():
    """ONNX Runtime writes weights of an If's branches beside the optimised graph, too, but takes none from memory there."""
    generator = np.random.default_rng(0)
    branches = {}
    for name in ("then_branch", "else_branch"):
        weight = numpy_helper.from_array(generator.normal(size=(64, 64)).astype(np.float32), f"{name}_weight")
        node = helper.make_node("MatMul", ["x", weight.name], [f"{name}_out"])
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [2, 64])
        branches[name] = helper.make_graph([node], name, [], [out], [weight])
    nodes = [helper.make_node("If", ["choose"], ["y"], **branches)]
    inputs = [helper.make_tensor_value_info("choose", TensorProto.BOOL, []), helper.make_tensor_value_info("x", 1, [2, 64])]
    graph = helper.make_graph(nodes, "choice", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 64])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    plain = runner_of(open_session(model, "choice"), "choice")
    session, weights = open_sharing(BareGraph(model), "choice")
    sharing = runner_of(session, "choice", weights)
    x = generator.normal(size=(2, 64)).astype(np.float32)
    for choose in (np.array(True), np.array(False)):
        np.testing.assert_allclose(sharing(choose, x)[0], plain(choose, x)[0], rtol=1e-5, atol=1e-5)
