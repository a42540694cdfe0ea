"""What computes more than its output shows is counted for what it computes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.called import Call

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
