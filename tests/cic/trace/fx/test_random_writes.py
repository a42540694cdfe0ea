"""Random programs of views and writes: traced, cut at random, and compared with what eager torch computes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fx.torch_trace import trace
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
    assert_equals_model,
    assert_graph_valid,
    assert_members_cover_module,
)

VIEWS: list[Callable[[Tensor], Tensor]] = [
    lambda t: t.transpose(0, -1),
    lambda t: t.reshape(-1),
    lambda t: t.reshape(t.shape[0], -1),
    lambda t: t[0],
    lambda t: t[1:],
    lambda t: t.unsqueeze(0),
    lambda t: t.detach(),
    lambda t: t.contiguous(),
    lambda t: t.chunk(2)[0],
    lambda t: t.flatten(),
]
FRESH: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda t, s: t.tanh(),
    lambda t, s: t + s,
    lambda t, s: t.clone() * 0.5,
    lambda t, s: torch.cat([t.flatten(), s.reshape(1)]),
]
WRITES: list[Callable[[Tensor, Tensor], object]] = [
    lambda t, s: t.add_(s),
    lambda t, s: t.mul_(0.5),
    lambda t, s: t.relu_(),
    lambda t, s: t.copy_(s),
    lambda t, s: t.fill_(2.0),
    lambda t, s: t.select(0, 0).sub_(s),
    lambda t, s: t.masked_fill_(t > 0.5, 0.25),
    lambda t, s: t.unsqueeze_(0),
]


class Program(nn.Module):
    """A fixed random program: it keeps a list of values and derives, writes and finally returns some of them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.layer = seed, nn.Linear(6, 6)

    def forward(self, x: Tensor) -> list[Tensor]:
        dice = random.Random(self.seed)
        values = [self.layer(x)]
        for _ in range(dice.randint(3, 12)):
            value = dice.choice(values[-4:])
            scalar = dice.choice(values).mean()
            if value.dim() == 0 or value.numel() < 4 or value.shape[0] < 2:
                values.append(self.layer(x) + scalar)
                continue
            sort = dice.choice(("view", "fresh", "write", "write"))
            if sort == "view":
                values.append(dice.choice(VIEWS)(value))
            elif sort == "fresh":
                values.append(dice.choice(FRESH)(value, scalar))
            else:
                dice.choice(WRITES)(value, scalar)
        return dice.sample(values, dice.randint(1, len(values)))


@pytest.mark.parametrize("block", range(4))
def test_random_programs(block: int) -> None:
    for seed in range(15 * block, 15 * (block + 1)):
        torch.manual_seed(seed)
        model = Program(seed)
        traced = trace(model, (torch.randn(4, 6),))
        assert_graph_valid(traced.graph)
        assert_members_cover_module(traced)
        assert_equals_model(traced, model)
        assert_cuts_are_exact(traced, count=6, seed=seed)
