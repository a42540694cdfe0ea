"""Work of single ops: products agree with torch's own counter, bytes with arithmetic by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.ao.quantization.fx import _decomposed  # noqa: F401  it registers the operators
from torch.utils.flop_counter import FlopCounterMode

from cic.cost.families import multiplies
from cic.cost.machine import Machine
from cic.cost.pricing import price
from cic.graph import Op
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.graph_validity import assert_cuts_are_exact, assert_graph_valid


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


class Recurrent(nn.Module):
    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(3, 5, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def recurrent_op(kind: str, steps: int, batch: int = 2, **options: object) -> Op:
    (op,) = trace(Recurrent(kind, **options), (torch.randn(batch, steps, 3),)).graph.ops
    return op


@pytest.mark.parametrize("kind, gates", [("GRU", 3), ("LSTM", 4), ("RNN", 1)])
def test_every_step_of_a_recurrent_layer_starts_anew_and_reads_the_state_s_weights(kind: str, gates: int) -> None:
    one, many = recurrent_op(kind, 1), recurrent_op(kind, 9)
    assert (one.starts, many.starts) == (0, 8)
    assert (one.reread_bytes, many.reread_bytes) == (0, 8 * 4 * gates * 25)
    assert many.flops == 9 * one.flops == 9 * 2 * 2 * gates * (15 + 25)
    deep = recurrent_op(kind, 9, num_layers=2, bidirectional=True)
    assert deep.starts == 4 * 9 - 1 and deep.reread_bytes == 4 * many.reread_bytes
    assert recurrent_op(kind, 9, batch=4).reread_bytes == many.reread_bytes


def test_a_projected_state_is_read_again_with_its_projection() -> None:
    assert recurrent_op("LSTM", 4, proj_size=2).reread_bytes == 3 * 4 * (4 * 5 * 2 + 2 * 5)


@pytest.mark.parametrize("kind, gates", [("GRUCell", 3), ("LSTMCell", 4), ("RNNCell", 1)])
def test_a_cell_is_one_step(kind: str, gates: int) -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = getattr(nn, kind)(3, 5)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            made = self.cell(x, (h, h) if kind == "LSTMCell" else h)
            return made[0] if kind == "LSTMCell" else made

    (op,) = [op for op in trace(Cell(), (torch.randn(2, 3), torch.randn(2, 5))).graph.ops if "cell" in op.kinds[0]]
    assert op.flops == 2 * 2 * gates * (15 + 25) and op.starts == 0


class Call(nn.Module):
    def __init__(self, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.call(*tensors)


# What computes more than its output shows, and by how much: (call, inputs, least and most operations).
BEYOND_OUTPUT = {
    "sort": (lambda x: x.sort(-1)[0], [(4, 64)], 4 * 64 * 6, 4 * 64 * 6),
    "topk": (lambda x: x.topk(2, -1)[0], [(4, 64)], 4 * 64 * 2, 4 * 64 * 6),
    "cumsum": (lambda x: x.cumsum(-1), [(4, 64)], 256, 256),
    "rfft": (lambda x: torch.fft.rfft(x).abs(), [(4, 64)], 5 * 256 * 6, 6 * 256 * 6),
    "inverse": (torch.linalg.inv, [(2, 16, 16)], 2 * 2 * 16**3, 2 * 2 * 16**3),
    "cholesky": (lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(16)), [(16, 16)], 2 * 16**3, 3 * 16**3),
    "svd": (torch.linalg.svdvals, [(16, 8)], 4 * 16 * 8 * 8, 30 * 16 * 8 * 8),
    "cdist": (torch.cdist, [(5, 7), (6, 7)], 3 * 30 * 7, 3 * 30 * 7),
    "bilinear": (lambda x, y: nn.functional.bilinear(x, y, torch.ones(4, 3, 5)), [(2, 3), (2, 5)], 2 * 8 * 15, 2 * 8 * 15),
    "tensordot": (lambda x, y: torch.tensordot(x, y, dims=2), [(3, 4, 5), (4, 5, 6)], 2 * 18 * 20, 2 * 18 * 20 + 200),
    "max_pool": (lambda x: nn.functional.max_pool2d(x, 3, 1), [(1, 2, 8, 8)], 9 * 72, 9 * 72),
    "grid_sample": (
        lambda x, g: nn.functional.grid_sample(x, g, align_corners=False), [(1, 2, 8, 8), (1, 4, 4, 2)], 16 * 32, 16 * 32
    ),
    "bicubic": (lambda x: nn.functional.interpolate(x, scale_factor=2.0, mode="bicubic"), [(1, 2, 4, 4)], 32 * 128, 32 * 128),
}  # fmt: skip


@pytest.mark.parametrize("name", BEYOND_OUTPUT)
def test_work_that_output_size_does_not_show(name: str) -> None:
    call, shapes, least, most = BEYOND_OUTPUT[name]
    graph = trace(Call(call), tuple(torch.rand(shape) for shape in shapes)).graph
    assert least <= sum(op.flops for op in graph.ops) <= most + sum(math.prod(tensor.shape) for tensor in graph.tensors)


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


def test_a_product_of_integers_is_one() -> None:
    weight = torch.ones(64, 32, dtype=torch.int8)
    (op,) = (op for op in trace(Call(lambda x: torch._int_mm(x, weight)), (torch.ones(32, 64, dtype=torch.int8),)).graph.ops)
    assert op.flops == 2 * 32 * 64 * 32 and op.arithmetic == "int8" and multiplies(op.kinds)
