"""Work that makes weights anew again and again, and how much of them stays in memory: none may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import fx, nn

STATUS = Path("/proc/self/statm")
PAGE_BYTES = 4096
ROUNDS = 6

told_by_linux = pytest.mark.skipif(not STATUS.exists(), reason="resident memory is read where Linux tells it")


def folded() -> tuple[fx.GraphModule, tuple[torch.Tensor]]:
    """A convolution and a batch norm, which freezing makes into one convolution with weights of its own: 38 MB of them."""
    module = nn.Sequential(nn.Conv2d(1024, 1024, 3, padding=1), nn.BatchNorm2d(1024)).eval()
    return fx.symbolic_trace(module), (torch.ones(1, 1024, 2, 2),)


def assert_let_go(work: Callable[[fx.GraphModule, tuple[torch.Tensor]], None]) -> None:
    module, example = folded()
    weights_bytes = sum(weight.nbytes for weight in module.parameters())
    work(module, example)
    before = resident_bytes()
    for _ in range(ROUNDS):
        work(module, example)
    assert resident_bytes() - before < weights_bytes, f"{ROUNDS} rounds keep less than one model"


def resident_bytes() -> int:
    return int(STATUS.read_text().split()[1]) * PAGE_BYTES
