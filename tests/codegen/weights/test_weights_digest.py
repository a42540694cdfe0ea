"""Models with the same weights have one digest however they were traced, others have another."""

from __future__ import annotations

import copy
import itertools

import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper
from torch import nn

from codegen.weights.weights_digest import onnx_weights_digest, torch_weights_digest


class Holder(nn.Module):
    """Weights of every kind: a parameter, a buffer, one that is not saved, a plain tensor, and one inside a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.ones(3))
        self.register_buffer("buffer", torch.ones(3))
        self.register_buffer("unsaved", torch.ones(3), persistent=False)
        self.plain = torch.ones(3)
        self.inner = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.parameter + self.buffer * self.unsaved + self.plain
        return torch.cond(x.sum() > 0, lambda y: y + self.inner, lambda y: y - self.inner, (y,))


def digest(model: nn.Module) -> str:
    return torch_weights_digest(torch.export.export(model, (torch.rand(3),), strict=False).module())  # type: ignore[arg-type]


def test_every_kind_of_weight_counts() -> None:
    models = [Holder()]
    for name in ("parameter", "buffer", "unsaved", "plain", "inner"):
        models.append(copy.deepcopy(models[0]))
        with torch.no_grad():
            getattr(models[-1], name)[1] += 1
    digests = list(map(digest, models))
    assert len(set(digests)) == len(models)
    assert digests[0] == digest(Holder())


def test_the_way_it_was_traced_does_not_count() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    program = torch.export.export(nn.Sequential(model), (torch.rand(1, 3),), strict=False)
    direct = torch.export.export(model, (torch.rand(1, 3),), strict=False)
    assert torch_weights_digest(program.module()) == torch_weights_digest(direct.module())  # type: ignore[arg-type]


def branching(values: dict[str, float]) -> onnx_ir.Model:
    def tensor(name: str) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.FLOAT, [1], [values[name]])

    then = helper.make_graph([helper.make_node("Identity", ["inner"], ["t"])], "then", [], [], [tensor("inner")])
    then.output.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, [1]))
    other = helper.make_graph([helper.make_node("Constant", [], ["e"], value=tensor("constant"))], "else", [], [])
    other.output.append(helper.make_tensor_value_info("e", TensorProto.FLOAT, [1]))
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    add = helper.make_node("Add", ["y", "outer"], ["z"])
    given = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    answer = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node, add], "g", [given], [answer], [tensor("outer")])
    return onnx_ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def test_weights_of_an_onnx_model_count_wherever_they_are() -> None:
    same = {"inner": 1.0, "constant": 2.0, "outer": 3.0}
    models = [same, *({**same, name: 9.0} for name in same)]
    digests = [onnx_weights_digest(branching(values)) for values in models]
    assert all(one != other for one, other in itertools.combinations(digests, 2))
    assert digests[0] == onnx_weights_digest(branching(same))
