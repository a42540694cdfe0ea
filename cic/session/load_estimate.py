"""How much slower than profiled a machine is now, what comes on top of any work, and by how much single cuts are off.

measured time = profiled time of the cut * slowdown of the machine * factor of the cut + time on top of any cut, and of it.
What belongs to all cuts is followed quickly, as another program may start at any moment; what belongs to one cut is followed
slowly, for it stands for an error of the profile, which stays. All are learned from what the present sum misses, by a
least-mean-squares filter (Widrow and Hoff 1960) with two step sizes. Without the parts of single cuts, two cuts whose profiles
are wrong in different ways would make the slowdown jump with each change between them, and so cause the next change.

What a cut misses is slowness as far as its work is large beside some of all the network's, and time on top as far as it is
not: a call, an encoding, or a pause by a quota takes a head of 1 ms as long as one of 50 ms. The whole network was profiled in
one piece, so what others have on top says nothing of it. Standard library only.
"""

from __future__ import annotations

from math import exp, log

_QUICK, _SLOW = 0.75, 0.25
# One measurement changes the product by a factor of two at most: a program that was paused once is not slow.
_LARGEST_STEP = log(2.0)
# The share of the whole network's time, but no less than so many seconds, that says as much of slowness as of time on top.
_SMALL_SHARE, _SMALL_S = 0.2, 2e-4
_MOST_ON_TOP = 0.1
_LOWEST, _HIGHEST = 1 / 20, 100.0


class LoadEstimate:
    """One machine. Times are those of one monotonic clock, in seconds.

    whole_s: what all of the network takes it by the profile. calms_s: a slowdown that is not seen any more halves its logarithm
    in so many seconds; None: it stays.
    """

    def __init__(self, whole_s: float = 0.0, calms_s: float | None = None) -> None:
        self._whole_s = whole_s or float("inf")
        self._small_s = max(_SMALL_SHARE * whole_s, _SMALL_S)
        self._calms_s, self._seen_s = calms_s, float("-inf")
        self._slowdown, self._top_s = 1.0, 0.0
        self._own: dict[str, tuple[float, float]] = {}

    def observe(self, cut: str, profiled_s: float, measured_s: float, now_s: float) -> None:
        """See that work of `profiled_s` in the profile took `measured_s`. cut: its label."""
        factor, own_s = self._own.get(cut, (1.0, 0.0))
        slowdown, measured_s = self.slowdown(now_s), max(measured_s, 0.0)
        product = profiled_s * slowdown * factor
        predicted_s = self.seconds(cut, profiled_s, slowdown)
        small_s = self._small_s
        slowness = product / (product + small_s)
        missed = log((measured_s + small_s) / (predicted_s + small_s))
        step = slowness * min(max(missed, -_LARGEST_STEP), _LARGEST_STEP)
        self._slowdown = _within(slowdown * exp(_QUICK * step))
        # A time on top at most doubles at once, for the same reason.
        missed_s = (1 - slowness) ** 2 * min(measured_s - predicted_s, predicted_s + _SMALL_S)
        if profiled_s < self._whole_s:
            self._top_s = min(max(0.0, self._top_s + _QUICK * missed_s), _MOST_ON_TOP * self._whole_s)
        self._own[cut] = _within(factor * exp(_SLOW * step)), own_s + _SLOW * missed_s
        self._seen_s = now_s

    def slowdown(self, now_s: float) -> float:
        """The factor of the machine, 1 for as profiled."""
        if self._calms_s is None or self._slowdown == 1.0:
            return self._slowdown
        return float(self._slowdown ** (0.5 ** (max(0.0, now_s - self._seen_s) / self._calms_s)))

    def hoped_slowdown(self, now_s: float) -> float:
        """The same: how far off it may be is not known."""
        return self.slowdown(now_s)

    def factor(self, cut: str) -> float:
        """The factor of a cut beside that of the machine; 1 if it was never seen."""
        return self._own.get(cut, (1.0, 0.0))[0]

    def seconds(self, cut: str, profiled_s: float, slowdown: float) -> float:
        """What work of `profiled_s` takes for this cut, at that slowdown of the machine."""
        top_s = self._top_s if profiled_s < self._whole_s else 0.0
        own = self._own.get(cut)
        if own is None:
            return profiled_s * slowdown + top_s
        top_s += own[1]
        return profiled_s * slowdown * own[0] + (top_s if top_s > 0.0 else 0.0)


def _within(value: float) -> float:
    return min(max(value, _LOWEST), _HIGHEST)
