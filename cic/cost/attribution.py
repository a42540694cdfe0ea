"""From measured halves to op times: which op answers for how much of the time of real heads and tails. Needs numpy.

Ops timed alone do not add up: alone, each converts its tensors into and out of the library's blocked layout and touches
fresh memory, which inside a network it does not. `cic.cost.measure` tells how far off that is. What is true of a cut
is the time of its two halves, so the op times are chosen to explain measured halves, and stay near the ops' own
measurements where the halves leave them open:

    minimise over x >= 0:  sum_halves ((counts . x - seconds) / sigma)^2 + sum_ops ((x - prior) / (looseness prior))^2

a regularised non-negative least squares problem, solved by scipy's active sets (Lawson & Hanson 1974). Needs scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

# A half's time is known to 1 % of itself and 0.3 % of the whole; an op's own measurement may be off by 60 %.
HALF_PRECISION = 0.01
WHOLE_PRECISION = 0.003
LOOSENESS = 0.6


@dataclass(frozen=True, slots=True)
class Half:
    """A measured run of ops. counts: how often each distinct op occurs in it. seconds: what it took."""

    counts: Sequence[int]
    seconds: float


def attribute(
    halves: Sequence[Half],
    alone_s: Sequence[float],
    whole: Half,
    *,
    half_precision: float = HALF_PRECISION,
    whole_precision: float = WHOLE_PRECISION,
    looseness: float = LOOSENESS,
) -> tuple[float, ...]:
    """Seconds of each distinct op that explain the measured halves and the whole, all zero or more.

    alone_s: the ops' times measured alone; scaled to the whole they are where the search starts and what it stays near.
    half_precision, whole_precision: a half is known to so much of itself and so much of the whole. looseness: an op's own time
    may be off by so much of itself.
    """
    alone = np.maximum(np.asarray(alone_s, dtype=np.float64), 1e-7)
    total = float(np.asarray(whole.counts, dtype=np.float64) @ alone)
    prior = alone * (whole.seconds / total) if total > 0 else alone
    measured = [*halves, whole]
    sigma = np.array([half_precision * half.seconds + whole_precision * whole.seconds for half in measured])
    # In units of the prior every op's own term is alike and the problem is well conditioned.
    rows = np.array([half.counts for half in measured], dtype=np.float64) * prior / sigma[:, None]
    targets = np.array([half.seconds for half in measured]) / sigma
    near = np.full(len(prior), 1.0 / looseness)
    factors, _ = nnls(np.vstack((rows, np.diag(near))), np.concatenate((targets, near)))
    return tuple(float(value) for value in factors * prior)


def halves_error(halves: Sequence[Half], seconds: Sequence[float]) -> float:
    """Median relative error of the sums of op times against the measured halves; 0 when there are none."""
    times = np.asarray(seconds, dtype=np.float64)
    errors = [abs(float(np.asarray(half.counts) @ times) / half.seconds - 1) for half in halves if half.seconds > 0]
    return float(np.median(errors)) if errors else 0.0
