"""The cheapest placement at weights of any size, where integer prices for whole features would be too coarse.

`mincut.scaling` rounds five prices, so its error is half a unit of price for each nanosecond and byte of a placement: too much
if an op takes a day on one side and costs nothing on the other, or if one weight is 10^20 times another. Here each arc is
weighed first and rounded once. With N arcs and scale s, rounding moves the cost of any placement by at most N / 2, so what is
cheapest after rounding costs at most N / s more than the optimum. If that is not little beside what was found, the scale is
raised to fit what was found, and the same is done again: each time the excess shrinks by 2^45 / N or what is found is within
twice the optimum, so it is over after a few rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import frexp
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mincut.problem import BoolArray, IntArray, Prices, Problem
from mincut.solver import solve

FloatArray = npt.NDArray[np.float64]
# Sums of arcs stay below 2^61; no single arc reaches `mincut.problem.LARGEST_AMOUNT`.
_SUM_BITS, _ARC_BITS = 61, 47
_MOST_ROUNDS = 100


class Weighed(NamedTuple):
    """bool[n]; int64[m] or None, which codec each tensor crosses under; their cost, and by how much it may be too high."""

    on_device: BoolArray
    codec: IntArray | None
    cost: float
    gap: float


def solve_weighted(problem: Problem, weights: Sequence[float], known: float) -> Weighed:
    """The cheapest placement, with a bound on what rounding hides.

    Args:
        weights: of the five features, finite and not negative.
        known: what some allowed placement costs, positive.

    Raises:
        InfeasibleError: no placement is allowed.
    """
    arcs = _Arcs.of(problem, weights)
    count = problem.op_count + problem.tensor_count + 1
    bits = min(_ARC_BITS, _SUM_BITS - count.bit_length())
    best = known
    for _ in range(_MOST_ROUNDS):
        scale = 2.0 ** min(bits - 1 - frexp(best)[1], 1000)
        on_device = _cheapest(problem, arcs, scale, 2.0**bits)
        cost = arcs.cost(problem, on_device)
        if cost <= 0 or cost * scale >= 2.0 ** (bits - 3) or scale >= 2.0**1000:
            break
        best = min(best, cost)
    gap = count / (scale * cost) if cost > 0 else 0.0
    return Weighed(on_device, arcs.codec, cost, gap)


class _Arcs(NamedTuple):
    """What an op costs on either side, float64[n] each, a crossing tensor under its cheapest codec, and offloading at all."""

    device: FloatArray
    server: FloatArray
    crossing: FloatArray
    offload: float
    codec: IntArray | None

    @classmethod
    def of(cls, problem: Problem, weights: Sequence[float]) -> _Arcs:
        device, server, upload, download, offload = weights
        forms = problem.forms
        costs: FloatArray = upload * forms.wire_bytes + device * forms.device_ns + server * forms.server_ns
        codec = np.zeros(problem.tensor_count, dtype=np.int64)
        crossing = np.zeros(problem.tensor_count)
        if problem.tensor_count:
            crossing = np.minimum.reduceat(costs, forms.start[:-1])
            tensor = np.repeat(np.arange(problem.tensor_count), forms.counts)
            _, first = np.unique(tensor[costs == crossing[tensor]], return_index=True)
            codec = np.asarray(np.flatnonzero(costs == crossing[tensor])[first] - forms.start[:-1], dtype=np.int64)
        return cls(
            np.asarray(device * problem.device_ns, dtype=np.float64),
            np.asarray(server * problem.server_ns + download * problem.download_bytes, dtype=np.float64),
            crossing,
            offload,
            None if problem.codecs is None else codec,
        )

    def cost(self, problem: Problem, on_device: BoolArray) -> float:
        """Of a placement; sums of what is not negative, so the relative error is that of a few additions."""
        sums = self.device[on_device].sum(), self.server[~on_device].sum(), self.crossing[problem.crossing(on_device)].sum()
        return float(sum(sums)) + (0.0 if on_device.all() else self.offload)


def _cheapest(problem: Problem, arcs: _Arcs, scale: float, cap: float) -> BoolArray:
    """By one minimum cut; an arc dearer than `cap` costs more than what is known, so it is in no cheapest cut anyhow."""

    def rounded(costs: FloatArray) -> IntArray:
        return np.asarray(np.rint(np.minimum(costs * scale, cap)), dtype=np.int64)

    whole = replace(
        problem,
        device_ns=rounded(arcs.device),
        server_ns=rounded(arcs.server),
        download_bytes=np.zeros_like(problem.download_bytes),
        wire_bytes=rounded(arcs.crossing),
        codecs=None,
    )
    return solve(whole, Prices(1, 1, 1, 0, round(min(arcs.offload * scale, cap)))).on_device
