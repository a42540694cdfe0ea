"""Work of single ops: products agree with torch's own counter, bytes with arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.ao.quantization.fx import _decomposed  # noqa: F401  it registers the operators

from cic.cost.machine import Machine
from cic.cost.pricing import price
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.called import Call
from tests.cic.trace.graph_validity import assert_cuts_are_exact, assert_graph_valid


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_an_op_knows_the_type_it_calculates_in_and_moves_its_bytes(dtype: torch.dtype) -> None:
    (plain,) = trace(nn.Linear(8, 8), (torch.randn(4, 8),)).graph.ops
    (op,) = trace(nn.Linear(8, 8, dtype=dtype), (torch.randn(4, 8, dtype=dtype),)).graph.ops
    assert (plain.arithmetic, op.arithmetic) == ("float32", str(dtype).removeprefix("torch."))
    assert op.memory_bytes == plain.memory_bytes * dtype.itemsize // 4
    assert op.flops == plain.flops * (4 if dtype.is_complex else 1)


def test_a_bag_reads_its_rows() -> None:
    bag = nn.EmbeddingBag(10_000, 8)
    (op,) = trace(bag, (torch.zeros(1, 6, dtype=torch.int64),)).graph.ops[-1:]
    assert 6 * 8 * 4 <= op.memory_bytes < 1000


def test_a_scan_pays_for_every_row() -> None:
    def run(x: Tensor) -> Tensor:
        return scan(lambda state, row: (state + row @ torch.ones(4, 4), state.clone()), torch.zeros(4), x)[1]

    few, many = (max(trace(Call(run), (torch.rand(rows, 4),)).graph.ops, key=lambda op: op.flops) for rows in (2, 20))
    assert many.flops == 10 * few.flops > 0 and many.starts > 9 * few.starts > 0


class Quantised(nn.Module):
    """What `torch.export` writes for a quantised network: values in small integers between pairs of ops."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-128, 127, (8, 3, 3, 3), dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        ops = torch.ops.quantized_decomposed
        small = ops.quantize_per_tensor(x, 0.02, 128, 0, 255, torch.uint8)
        weight = ops.dequantize_per_tensor(self.weight, 0.01, 0, -128, 127, torch.int8)
        y = nn.functional.conv2d(ops.dequantize_per_tensor(small, 0.02, 128, 0, 255, torch.uint8), weight, None, 1, 1).relu()
        y = ops.quantize_per_tensor(y, 0.05, 0, 0, 255, torch.uint8)
        return ops.dequantize_per_tensor(y, 0.05, 0, 0, 255, torch.uint8)


def test_quantised_products_are_one_op_of_small_integers() -> None:
    traced = trace(Quantised().eval(), (torch.rand(1, 3, 16, 16),))
    assert_graph_valid(traced.graph)
    assert_cuts_are_exact(traced, 5)
    kinds = [op.kinds for op in traced.graph.ops]
    assert kinds == [("quantize_linear",), ("conv2d", "relu", "quantize_linear"), ("dequantize_linear",)]
    assert traced.graph.ops[1].arithmetic == "int8"
    assert [tensor.bytes for tensor in traced.graph.tensors[1:3]] == [3 * 256, 8 * 256]


class Steps(nn.Module):
    """Every row of what is written in place is computed from the one before, so all products stay together."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros(4, 3, 64, dtype=x.dtype)
        y[:, 0] = x
        for row in range(1, 3):
            y[:, row] = self.linear(y[:, row - 1])
        return y


class Region(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.linear(x) + 1


def test_what_runs_a_graph_of_its_own_pays_for_the_type_of_its_products() -> None:
    lacking = Machine("board", 1e10, 2e9, 0.0, lacks=("float16", "bfloat16"))
    for half, single in ((Steps(torch.float16), Steps(torch.float32)), (Region(), Steps(torch.float32))):
        dtype = next(iter(half.parameters())).dtype
        graphs = [
            trace(model, (torch.rand(4, 64, dtype=kind),)).graph for model, kind in ((half, dtype), (single, torch.float32))
        ]
        (op,) = (op for op in graphs[0].ops if op.arithmetic in lacking.lacks)
        assert op.kinds[0] in ("in_place", "wrap_with_autocast") and op.kinds[1] == "linear"
        assert sum(price(graphs[0], lacking)) > 2 * sum(price(graphs[1], lacking))
