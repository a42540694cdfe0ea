"""Measuring leaves nothing of the model's weights behind in memory."""

from __future__ import annotations

import torch
from torch import fx

from cic.cost.stopwatch import optimise
from tests.codegen.resident_memory import assert_let_go, told_by_linux


def measure(module: fx.GraphModule, example: tuple[torch.Tensor]) -> None:
    run = optimise(module, example)
    for _ in range(3):
        run()


@told_by_linux
def test_weights_made_on_the_way_are_let_go() -> None:
    assert_let_go(measure)
