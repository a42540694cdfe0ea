"""Whether two runs of a model gave the same tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def first_difference(given: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> str | None:
    """Return what differs first, as words, or None. Floats are compared relative to the largest magnitude expected."""
    if len(given) != len(expected):
        return f"{len(given)} output tensors instead of {len(expected)}"
    for position, (ours, theirs) in enumerate(zip(given, expected, strict=True)):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return f"output {position} is {tuple(ours.shape)} {ours.dtype} instead of {tuple(theirs.shape)} {theirs.dtype}"
        error, allowed = relative_error(ours, theirs), TOLERANCE.get(theirs.dtype, 0.0)
        if not error <= allowed:
            return f"output {position} differs by {error:.3g} relative, allowed are {allowed:g}"
    return None


def relative_error(given: torch.Tensor, expected: torch.Tensor) -> float:
    """Return max|given - expected| / max|expected| over finite values; infinite if NaN, infinities or integers differ."""
    if given.numel() == 0:
        return 0.0
    if not (expected.is_floating_point() or expected.is_complex()):
        return 0.0 if torch.equal(given, expected) else float("inf")
    wide = torch.complex128 if expected.is_complex() else torch.float64
    given, expected = given.to(wide), expected.to(wide)  # first, for types of 8 bits know little arithmetic
    finite = torch.isfinite(expected)
    if not torch.equal(torch.isfinite(given), finite):
        return float("inf")
    if not torch.equal(torch.nan_to_num(given[~finite]), torch.nan_to_num(expected[~finite])):
        return float("inf")
    if not bool(finite.any()):
        return 0.0
    ours, theirs = given[finite], expected[finite]
    scale, error = theirs.abs().max().item(), (ours - theirs).abs().max().item()
    return 0.0 if error == 0.0 else error / scale if scale > 0 else float("inf")
