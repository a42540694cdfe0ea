"""Layers may be called anything, and weights may be of classes of their own: the traced module computes the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fx.from_program import capture
from cic.trace.fx.torch_trace import trace

NAMES = ("graph", "code", "meta", "recompile", "class", "global", "in", "weight", "0")


class OddlyNamed(nn.Module):
    """Layers, buffers and parameters by names that mean something to torch.fx or to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(4, 4) for name in NAMES})
        for name in NAMES:
            self.add_module(name, nn.Linear(4, 4))
        self.register_buffer("training_", torch.ones(4))
        self.register_buffer("def", torch.full((4,), 2.0))
        self.register_parameter("lambda", nn.Parameter(torch.full((4,), 3.0)))

    def forward(self, x: Tensor) -> Tensor:
        for name in NAMES:
            x = self.layers[name](x) + getattr(self, name)(x)
        return x * self.training_ * getattr(self, "def") + getattr(self, "lambda")


class Halves(Tensor):
    """A stand-in for a quantised weight: a tensor of twice its values, which any operator first takes apart."""

    doubled: Tensor

    @staticmethod
    def __new__(cls, doubled: Tensor) -> Halves:
        made: Halves = Tensor._make_wrapper_subclass(cls, doubled.shape, dtype=doubled.dtype)  # type: ignore[attr-defined]
        made.doubled = doubled
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["doubled"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], meta: None, size: Any, stride: Any) -> Halves:
        return Halves(inner["doubled"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return Halves(args[0].doubled)
        plain = torch.utils._pytree.tree_map(lambda value: value.doubled / 2 if isinstance(value, Halves) else value, args)
        return func(*plain, **(kwargs or {}))


def test_layers_and_weights_may_have_any_name() -> None:
    model, x = OddlyNamed().eval(), torch.randn(2, 4)
    traced = trace(model, (x,))
    assert torch.allclose(traced.module(x)[0], model(x), rtol=1e-4)
    assert {f"layers.{name}" for name in NAMES} <= {member for op in traced.unfused.ops for member in (op.name,)}


def test_a_weight_of_a_class_of_its_own_is_traced_by_what_is_inside_it() -> None:
    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.randn(2, 4)
    weight = nn.Parameter(Halves(torch.randn(4, 4)), requires_grad=False)
    model[0].weight = weight
    expected = model(x)
    traced = trace(model, (x,))
    assert torch.allclose(traced.module(x)[0], expected)
    assert model[0].weight is weight
    assert all(type(tensor) in (Tensor, nn.Parameter) for tensor in traced.module.state_dict(keep_vars=True).values())
    assert traced.weights_digest


@pytest.mark.parametrize("kind", ["frozen", "scripted", "exported"])
def test_a_module_that_torch_has_made_is_traced_and_stays_as_it_is(kind: str) -> None:
    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.randn(2, 4)
    program = torch.export.export(model, (x,), strict=False)
    made = {
        "frozen": lambda: torch.jit.freeze(torch.jit.trace(model, (x,))),
        "scripted": lambda: torch.jit.script(model),
        "exported": program.module,
    }[kind]()
    traced = trace(made, (x,))
    assert torch.allclose(traced.module(x)[0], model(x)) and torch.allclose(made(x), model(x))
    if kind == "exported":
        assert torch.allclose(capture(program, (x,), {})(x)[0], model(x))
