"""Work of single ops: products agree with torch's own counter, bytes with arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cic.trace.torch_trace import trace


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


def test_recurrent_layer_counts_every_matrix_each_step() -> None:
    model = nn.LSTM(3, 5, batch_first=True)
    (op,) = [op for op in trace(model, (torch.randn(2, 7, 3),)).graph.ops if "lstm" in op.kinds]
    assert op.flops == 2 * 2 * 7 * (4 * 5 * 3 + 4 * 5 * 5)


def test_fused_run_moves_no_inner_value() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    traced = trace(model, (torch.randn(1, 3, 8, 8),))
    (run,) = traced.graph.ops
    assert run.memory_bytes == 4 * (3 * 64 + 4 * 64 + 3 * 4 + 4 * 4)
    assert run.flops == sum(op.flops for op in traced.unfused.ops)
    assert run.memory_bytes == sum(op.memory_bytes for op in traced.unfused.ops) - 4 * (2 * 2 * 4 * 64)


def test_embedding_reads_rows_not_the_table() -> None:
    (op,) = trace(nn.Embedding(10_000, 8), (torch.zeros(1, 5, dtype=torch.int64),)).graph.ops
    assert op.memory_bytes == 5 * 8 + 2 * 5 * 8 * 4
