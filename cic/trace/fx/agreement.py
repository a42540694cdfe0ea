"""Whether what was traced gives the same tensors as the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from codegen.dtypes import type_name
from codegen.verification.agreement import TOLERANCES, relative_error


def first_difference(given: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> str | None:
    """Return what differs first, as words, or None. Floats are compared relative to the largest magnitude expected; whole
    numbers must be the same."""
    if len(given) != len(expected):
        return f"{len(given)} output tensors instead of {len(expected)}"
    for position, (ours, theirs) in enumerate(zip(given, expected, strict=True)):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return f"output {position} is {tuple(ours.shape)} {ours.dtype} instead of {tuple(theirs.shape)} {theirs.dtype}"
        tolerance = TOLERANCES.get(type_name(theirs.dtype))
        allowed = 0.0 if tolerance is None else tolerance.traced
        # As float64 two large integers may be one.
        is_exact = not (theirs.is_floating_point() or theirs.is_complex())
        error = relative_error(ours, theirs) if not is_exact else 0.0 if torch.equal(ours, theirs) else math.inf
        if not error <= allowed:
            return f"output {position} differs by {error:.3g} relative, allowed are {allowed:g}"
    return None
