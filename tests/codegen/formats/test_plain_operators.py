"""Operators that other libraries register are written with torch's own where they are made of them, and else stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from codegen.formats.plain_operators import in_torch_operators, is_composite, is_foreign, needed_libraries, steps_of
from tests.codegen.flat_module import flat_module


class Calls(nn.Module):
    def __init__(self, call) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.layer, self.call = nn.Linear(4, 4), call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.layer(x)).relu()


@pytest.fixture(scope="module")
def library():  # type: ignore[no-untyped-def]
    made = torch.library.Library("cic_test_plain", "DEF")
    made.define("sheared(Tensor x, float by) -> (Tensor, Tensor)")
    made.impl("sheared", lambda x, by: (x + by * x.roll(1, 0), x.abs() + torch.ones(4)), "CompositeImplicitAutograd")
    made.define("opaque(Tensor x) -> Tensor")
    made.impl("opaque", lambda x: x * 2, "CPU")
    made.impl("opaque", torch.empty_like, "Meta")
    return made


def foreign_of(module: torch.fx.GraphModule) -> list[object]:
    return [node.target for node in module.graph.nodes if is_foreign(node.target)]


def test_a_composite_becomes_what_it_is_made_of(library) -> None:  # type: ignore[no-untyped-def]
    model, x = Calls(lambda y: sum(torch.ops.cic_test_plain.sheared(y, 0.5))).eval(), torch.randn(3, 4)
    traced = flat_module(model, (x,))
    plain = in_torch_operators(traced.source.module)
    assert not foreign_of(plain) and torch.equal(plain(x)[0], model(x))
    assert not steps_of(traced.source.module)


def test_what_is_no_composite_stays_and_needs_its_library(library) -> None:  # type: ignore[no-untyped-def]
    traced = flat_module(Calls(torch.ops.cic_test_plain.opaque).eval(), (torch.randn(3, 4),))
    assert [is_composite(target) for target in foreign_of(traced.source.module)] == [False]
    assert in_torch_operators(traced.source.module) is traced.source.module
    assert [need.operators for need in needed_libraries(traced.source.module)] == [("cic_test_plain::opaque",)]


@pytest.mark.filterwarnings("ignore")
def test_quantisers_are_rounding_and_clamping() -> None:
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    ops, zero = torch.ops.quantized_decomposed, torch.zeros(4, dtype=torch.int64)

    def call(y: Tensor) -> Tensor:
        y = ops.dequantize_per_tensor(ops.quantize_per_tensor(y, 0.1, 3, 0, 255, torch.uint8), 0.1, 3, 0, 255, torch.uint8)
        rounded = ops.quantize_per_channel(y, torch.full((4,), 0.2), zero, 1, -128, 127, torch.int8)
        return ops.dequantize_per_channel(rounded, torch.full((4,), 0.2), zero, 1, -128, 127, torch.int8)

    model, x = Calls(call).eval(), torch.randn(3, 4)
    traced = flat_module(model, (x,))
    assert len(foreign_of(traced.source.module)) == 4 and len(steps_of(traced.source.module)) == 1
    plain = in_torch_operators(traced.source.module)
    assert not foreign_of(plain) and torch.equal(plain(x)[0], model(x))
    assert foreign_of(in_torch_operators(traced.source.module, keep=("quantized_decomposed",)))


def test_a_module_of_torch_operators_is_itself() -> None:
    traced = flat_module(nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), (torch.randn(2, 4),))
    assert in_torch_operators(traced.source.module) is traced.source.module
