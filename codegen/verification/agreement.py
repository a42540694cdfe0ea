"""How far two runs of a model differ, and how far they may: one measure, and one table of tolerances by dtype."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

ZERO = 1e-12
"""A tensor with no greater magnitude than this is called zero."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The greatest relative error allowed.

    traced: of the module that tracing gives, which runs the model's own kernels one by one, against the model.
    emitted: of the halves against the whole. They round at the cut as the whole does, but their kernels are fused and packed
        differently, which reorders sums: each of some hundred layers then differs in the last bit, 2^-11 in float16 and 2^-8
        in bfloat16.
    """

    traced: float
    emitted: float


TOLERANCES = {
    "float64": Tolerance(traced=1e-9, emitted=1e-4),
    "float32": Tolerance(traced=1e-4, emitted=1e-4),
    "float16": Tolerance(traced=1e-2, emitted=2e-2),
    "bfloat16": Tolerance(traced=5e-2, emitted=1e-1),
}
"""By dtype. Types that are not here must agree exactly."""


def relative_error(given: torch.Tensor, expected: torch.Tensor) -> float:
    """Return max|given - expected| / max|expected|; infinite if shapes, dtypes or the places of NaN and infinity differ."""
    if given.shape != expected.shape or given.dtype != expected.dtype:
        return math.inf
    if expected.numel() == 0:
        return 0.0
    # A model may turn gradients on itself.
    given, expected = wide(given.detach()), wide(expected.detach())
    equal = (given == expected) | (given.isnan() & expected.isnan())
    if bool((~equal & ~(given.isfinite() & expected.isfinite())).any()):
        return math.inf
    difference = torch.where(equal, 0.0, (given - expected).abs())
    return float(difference.max()) / max(largest(expected), ZERO)


def largest(tensor: torch.Tensor) -> float:
    """Return the greatest magnitude among a tensor's finite values, of a complex tensor's parts; 0 if there are none."""
    values = wide(tensor.detach())
    finite = values[values.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as float64, which every type can become, complex values as pairs."""
    return torch.view_as_real(tensor.resolve_conj()).double() if tensor.is_complex() else tensor.double()
