"""Products agree with torch's own counter of operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cic.cost.families import multiplies
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.called import Call


class Products(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        return a @ b, torch.bmm(a, b), torch.einsum("bij,bjk->bik", a, b), torch.baddbmm(torch.zeros(()), a, b)


PRODUCTS = [
    (nn.Conv2d(6, 8, 3, bias=False), [(1, 6, 9, 9)], 0),
    (nn.Conv2d(6, 8, (3, 5), groups=2, stride=2, padding="valid", dilation=(1, 2), bias=False), [(2, 6, 19, 19)], 0),
    (nn.Conv1d(6, 6, 3, groups=6, padding="same"), [(2, 6, 19)], 2 * 6 * 19),
    (nn.ConvTranspose2d(6, 8, 3, stride=2, groups=2, bias=False), [(1, 6, 9, 9)], 0),
    (nn.ConvTranspose1d(4, 8, 3), [(1, 4, 9)], 8 * 11),
    (nn.Conv3d(2, 3, 2, bias=False), [(1, 2, 4, 4, 4)], 0),
    (nn.Linear(5, 7), [(3, 4, 5)], 3 * 4 * 7),
    (Products(), [(3, 4, 5), (3, 5, 6)], 3 * 4 * 6),  # baddbmm adds once an element
]


@pytest.mark.parametrize(("model", "shapes", "besides"), PRODUCTS, ids=lambda value: type(value).__name__)
def test_products_match_torchs_counter(model: nn.Module, shapes: list[tuple[int, ...]], besides: int) -> None:
    tensors = tuple(torch.randn(shape) for shape in shapes)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*tensors)
    assert sum(op.flops for op in trace(model, tensors).graph.ops) == counter.get_total_flops() + besides


class Attention(nn.Module):
    def __init__(self, written_out: bool) -> None:
        super().__init__()
        self.written_out = written_out

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.written_out:
            return (query @ key.transpose(-1, -2)).softmax(-1) @ value
        return nn.functional.scaled_dot_product_attention(query, key, value)


def test_attention_counts_as_if_written_out() -> None:
    tensors = torch.randn(1, 2, 8, 4), torch.randn(1, 2, 6, 4), torch.randn(1, 2, 6, 5)
    fused, written = (sum(op.flops for op in trace(Attention(form), tensors).graph.ops) for form in (False, True))
    assert fused == written > 0


def test_a_product_of_integers_is_one() -> None:
    weight = torch.ones(64, 32, dtype=torch.int8)
    (op,) = (op for op in trace(Call(lambda x: torch._int_mm(x, weight)), (torch.ones(32, 64, dtype=torch.int8),)).graph.ops)
    assert op.flops == 2 * 32 * 64 * 32 and op.arithmetic == "int8" and multiplies(op.kinds)
