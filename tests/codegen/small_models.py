"""Small models that are hard to split: several inputs, shared and passed-through values, views across the cut."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import torch
from torch import nn

Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...]
    note: str = "fine"


class TwoTowers(nn.Module):
    """Two inputs and a flag; outputs made early and late, one of them an input, one a constant, in a nested structure."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(6, 8)
        self.right = nn.Linear(4, 8)
        self.join = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor, *, mask: torch.Tensor, y: torch.Tensor, scale: float = 1.0, flag: bool = False):
        left = torch.relu(self.left(x))
        right = torch.tanh(self.right(y))
        joined = torch.cat([left, right], 1) * scale
        logits = self.join(joined).masked_fill(mask, -1.0)
        early = left.sum(1)
        return {"logits": logits, "given": y, "pair": Pair(early, [right.t(), None]), "steps": torch.arange(5), "flag": flag}


def two_towers_call() -> tuple[tuple[torch.Tensor], dict[str, object]]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(3, 6, generator=generator)
    mask = torch.rand(3, 5, generator=generator) < 0.4
    return (x,), {"mask": mask, "y": torch.randn(3, 4, generator=generator), "scale": 0.5, "flag": True}


class Views(nn.Module):
    """Reads one value through several views, early and late, and returns a view of an early value."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> Answer:
        value = torch.relu(self.first(x))
        halves = value.view(2, 2, 6)
        left, right = halves.unbind(1)
        mixed = self.second(left) + torch.sigmoid(right)
        turned = value.t()
        scores = mixed @ mixed.t() + turned.sum()
        top, places = scores.topk(1, dim=1)
        return Answer(logits=scores, hidden=(turned, top, places))


class Residual(nn.Module):
    """A convolution stem and residual blocks with batch norm and in-place activations."""

    def __init__(self, blocks: int = 3, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, channels, 1),
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = torch.relu(block(x) + x)
        return self.head(x.mean((2, 3)))


def calibrated(model: nn.Module, example: torch.Tensor) -> nn.Module:
    """Give batch norm the statistics of random inputs, as training would, so that outputs differ from zero."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(torch.randn(4, *example.shape[1:], generator=torch.Generator().manual_seed(1)))
    return model.eval()
