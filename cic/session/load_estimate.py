"""How much slower than profiled a machine is now, and by how much each cut's times are off. Standard library only.

measured time = profiled time of the cut * slowdown of the machine * factor of the cut. The slowdown follows quickly, as
another program may start at any moment; the factors follow slowly, for they stand for errors of the profile, which stay. Both
are learned from the logarithm of what the present product misses: a least-mean-squares filter (Widrow and Hoff 1960) with two
step sizes. Without the factors, two cuts whose profiles are wrong in different ways would make the slowdown jump with each
change between them, and so cause the next change. A cut with next to nothing to do here teaches neither; of such a one the
time that comes on top is averaged, for it is what an inference takes in any case.
"""

from __future__ import annotations

from math import exp, log

_QUICK, _SLOW = 0.5, 0.25
# One measurement changes the product by a factor of two at most: a program that was paused once is not slow.
_LARGEST_STEP = log(2.0)
# Added to both times before they are compared, so that cuts with next to nothing to do here say next to nothing.
_SMALL_S = 2e-4
_LOWEST, _HIGHEST = log(1 / 20), log(100.0)


class LoadEstimate:
    """One machine. Times are those of one monotonic clock, in seconds.

    calms_s: a slowdown that is not seen any more halves its logarithm in so many seconds; None: it stays.
    """

    def __init__(self, calms_s: float | None = None) -> None:
        self._calms_s, self._seen_s = calms_s, float("-inf")
        self._slowdown = 0.0
        self._factors: dict[str, float] = {}
        self._extra_s: dict[str, float] = {}

    def observe(self, cut: str, profiled_s: float, measured_s: float, now_s: float) -> None:
        """See that work of `profiled_s` in the profile took `measured_s`. cut: its label."""
        factor, slowdown = self._factors.get(cut, 0.0), self._now(now_s)
        product = profiled_s * exp(factor + slowdown)
        missed = log((max(measured_s, 0.0) + _SMALL_S) / (product + _SMALL_S))
        missed = min(max(missed, -_LARGEST_STEP), _LARGEST_STEP)
        weight = product / (product + _SMALL_S)
        self._slowdown = _within(slowdown + _QUICK * weight * missed)
        self._factors[cut] = _within(factor + _SLOW * weight * missed)
        known_s = self._extra_s.get(cut, 0.0)
        more_s = min(max(measured_s - product, 0.0), 2 * known_s + _SMALL_S)
        self._extra_s[cut] = known_s + _SLOW * ((1 - weight) * more_s - known_s)
        self._seen_s = now_s

    def slowdown(self, now_s: float) -> float:
        """The factor of the machine, 1 for as profiled."""
        return exp(self._now(now_s))

    def factor(self, cut: str) -> float:
        """The factor of a cut beside that of the machine; 1 if it was never seen."""
        return exp(self._factors.get(cut, 0.0))

    def seconds(self, cut: str, profiled_s: float, slowdown: float) -> float:
        """What work of `profiled_s` takes for this cut, at that slowdown of the machine."""
        return profiled_s * slowdown * self.factor(cut) + self._extra_s.get(cut, 0.0)

    def _now(self, now_s: float) -> float:
        if self._calms_s is None or not self._slowdown:
            return self._slowdown
        return float(self._slowdown * 0.5 ** (max(0.0, now_s - self._seen_s) / self._calms_s))


def _within(value: float) -> float:
    return min(max(value, _LOWEST), _HIGHEST)
