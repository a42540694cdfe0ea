"""One model of the zoo before it is built: how to build it, what to feed it, and how far to take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from codegen.verification.equivalence import redraw

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Built:
    """A model that answers something, an example call of random numbers, and one of natural inputs.

    model: a module in eval mode, or the path of an ONNX file, for which calls have no positional arguments.
    """

    model: nn.Module | Path
    random: Call
    natural: Call


@dataclass(frozen=True)
class Specimen:
    """build: is given a folder for files of its own.
    formats: what halves are written in; the first one counts, the others are tried after it.
    big: takes far longer than most, so it runs late and has more time.
    spare: much like others, so it runs last.
    """

    build: Callable[[Path], Built]
    formats: tuple[str, ...] = ("torchscript",)
    big: bool = False
    spare: bool = False

    @property
    def order(self) -> tuple[bool, bool, int]:
        """What to sort by: quick ones first."""
        return self.spare, self.big, len(self.formats)


def several(given: Call, natural: Call) -> Call:
    """A batch of six inputs: the two, their numbers in another order, and both backwards. Statistics of BatchNorm come from it.

    Fewer, or blends of two, would not do: where a network has averaged over the picture, a channel's variance over such a batch
    may be all but zero, and dividing by it turns rounding into errors of per cents.
    """

    def batch(one: Any, other: Any) -> Any:
        if not isinstance(one, torch.Tensor):
            return one
        return torch.cat([one, other, *redraw([one, other]), one.flip(-1), other.flip(-1)])

    args = tuple(map(batch, given[0], natural[0]))
    return args, {key: batch(value, natural[1][key]) for key, value in given[1].items()}


ALL_FORMATS = ("torchscript", "exported_program", "onnx")
