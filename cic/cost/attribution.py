"""From measured halves to op times: which op answers for how much of the time of real heads and tails. Needs numpy.

Ops timed alone do not add up: alone, each converts its tensors into and out of the library's blocked layout and touches
fresh memory, which inside a network it does not. `cic.cost.measure` tells how far off that is. What is true of a cut
is the time of its two halves, so the op times are chosen to explain measured halves, and stay near the ops' own
measurements where the halves leave them open:

    minimise over x >= 0:  sum_halves ((counts . x - seconds) / sigma)^2 + sum_ops ((x - prior) / (looseness prior))^2

a regularised non-negative least squares problem, solved by coordinate descent (Franc, Hlavac, Navara, CAIP 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A half's time is known to 1 % of itself and 0.3 % of the whole; an op's own measurement may be off by 60 %.
HALF_PRECISION = 0.01
WHOLE_PRECISION = 0.003
LOOSENESS = 0.6
SWEEPS = 500


@dataclass(frozen=True, slots=True)
class Half:
    """A measured run of ops. counts: how often each distinct op occurs in it. seconds: what it took."""

    counts: Sequence[int]
    seconds: float


def attribute(halves: Sequence[Half], alone_s: Sequence[float], whole: Half) -> tuple[float, ...]:
    """Seconds of each distinct op that explain the measured halves and the whole, all zero or more.

    alone_s: the ops' times measured alone; scaled to the whole they are where the search starts and what it stays near.
    """
    alone = np.maximum(np.asarray(alone_s, dtype=np.float64), 1e-7)
    total = float(np.asarray(whole.counts, dtype=np.float64) @ alone)
    prior = alone * (whole.seconds / total) if total > 0 else alone
    measured = [*halves, whole]
    sigma = np.array([HALF_PRECISION * half.seconds + WHOLE_PRECISION * whole.seconds for half in measured])
    # In units of the prior every op's own term is alike and the problem is well conditioned.
    rows = np.array([half.counts for half in measured], dtype=np.float64) * prior / sigma[:, None]
    targets = np.array([half.seconds for half in measured]) / sigma
    factors = _non_negative_least_squares(rows, targets, ridge=1.0 / LOOSENESS**2)
    return tuple(float(value) for value in factors * prior)


def halves_error(halves: Sequence[Half], seconds: Sequence[float]) -> float:
    """Median relative error of the sums of op times against the measured halves; 0 when there are none."""
    times = np.asarray(seconds, dtype=np.float64)
    errors = [abs(float(np.asarray(half.counts) @ times) / half.seconds - 1) for half in halves if half.seconds > 0]
    return float(np.median(errors)) if errors else 0.0


def _non_negative_least_squares(
    rows: NDArray[np.float64], targets: NDArray[np.float64], *, ridge: float
) -> NDArray[np.float64]:
    """Minimise |rows x - targets|^2 + ridge |x - 1|^2 over x >= 0, one coordinate at a time."""
    size = rows.shape[1]
    squares = rows.T @ rows + ridge * np.eye(size)
    solution = np.ones(size)
    gradient = squares @ solution - (rows.T @ targets + ridge)
    for _ in range(SWEEPS):
        largest_step = 0.0
        for index in range(size):
            step = max(-gradient[index] / squares[index, index], -solution[index])
            if step != 0.0:
                solution[index] += step
                gradient += step * squares[index]
                largest_step = max(largest_step, abs(step))
        if largest_step < 1e-6:
            break
    return solution
