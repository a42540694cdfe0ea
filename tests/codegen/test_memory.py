"""What is written or measured leaves nothing of the model's weights behind in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from cic.cost.stopwatch import optimise
from codegen.formats.torchscript import TorchScriptEmitter

STATUS = Path("/proc/self/statm")
PAGE_BYTES = 4096
ROUNDS = 6


def folded() -> tuple[fx.GraphModule, tuple[torch.Tensor]]:
    """A convolution and a batch norm, which freezing makes into one convolution with weights of its own: 38 MB of them."""
    module = nn.Sequential(nn.Conv2d(1024, 1024, 3, padding=1), nn.BatchNorm2d(1024)).eval()
    return fx.symbolic_trace(module), (torch.ones(1, 1024, 2, 2),)


def write(module: fx.GraphModule, example: tuple[torch.Tensor], folder: Path) -> None:
    TorchScriptEmitter().write(module, example, folder / "half.ts")


def measure(module: fx.GraphModule, example: tuple[torch.Tensor], folder: Path) -> None:
    run = optimise(module, example)
    for _ in range(3):
        run()


@pytest.mark.skipif(not STATUS.exists(), reason="resident memory is read where Linux tells it")
@pytest.mark.parametrize("work", [write, measure])
def test_weights_made_on_the_way_are_let_go(work: Callable[..., None], tmp_path: Path) -> None:
    module, example = folded()
    weights_bytes = sum(weight.nbytes for weight in module.parameters())
    again = partial(work, module, example, tmp_path)
    again()
    before = resident_bytes()
    for _ in range(ROUNDS):
        again()
    assert resident_bytes() - before < weights_bytes, f"{ROUNDS} rounds keep less than one model"


def resident_bytes() -> int:
    return int(STATUS.read_text().split()[1]) * PAGE_BYTES
