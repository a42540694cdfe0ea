"""How much of a tensor is lost, on the whole: the root mean square of the differences, relative to that of what is expected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from codegen.verification.agreement import wide


def root_mean_square_error(given: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return sqrt(sum |given - expected|^2 / sum |expected|^2) over all tensors; infinite if a difference is not finite."""
    pairs = [(wide(mine), wide(theirs)) for mine, theirs in zip(given, expected, strict=True)]
    difference = total(float((mine - theirs).square().sum()) for mine, theirs in pairs)
    scale = total(float(theirs.square().sum()) for _, theirs in pairs)
    if not difference:
        return 0.0
    return math.sqrt(difference / scale) if scale and math.isfinite(difference) else math.inf


def total(squares: Iterable[float]) -> float:
    """The exact sum of numbers that are not negative, rounded once, so the same in every order; infinite where no float is."""
    try:
        return math.fsum(squares)
    except OverflowError:
        return math.inf
