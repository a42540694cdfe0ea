"""Which cut to run where machines are still being learned: the fastest, or the one that tells best whether another is faster.

Let b be the cut predicted to be fastest, and T_c the predicted latencies. What cut c might gain on b is T_b - T_c and one
standard deviation of that difference, by the posterior of both machines (`cic.session.learned_times`); the cut with the most
to gain is the rival, and G its gain. If G is more than `WORTH` of T_b, some cut is run that would tell of the difference
between the two. That is the cut with the least

    (T_c - T_b + G)^2 / (share of the variance of that difference that running c would remove)

as in information-directed sampling (Russo and Van Roy, "Learning to optimize via information-directed sampling", Operations
Research 66(1), 2018; here for one action at a time, and by variance): squared regret for each bit of information. The fastest
cut is among these, so that it is run where it tells enough itself. A short head that shows how fast the device is costs less
than running all there.

The price is bounded. What cuts are predicted to take longer than b is added up, for each inference at which another one was
run to learn; together that is never more than `SHARE` of the latency of all inferences, and of `FIRST` times T_b at the
beginning.

A look that found nothing to learn is taken again after one inference, then two, four and up to sixteen, or when another cut
has become the fastest, or a machine has jumped, since it takes longer than a decision.

Else the usual rule decides (`cic.session.switching_rule`). With certain machines it always does. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt

from cic.decision.cut import Cut
from cic.session.forecast import Parts
from cic.session.learned_times import Doubt, LearnedTimes
from cic.session.policy import Choice
from cic.session.switching_rule import SwitchingRule

SHARE, FIRST, WORTH = 0.05, 1.0, 0.03
_LONGEST_WAIT = 16


class LearningRule:
    """A `cic.session.policy.Policy` for least latency.

    device, server: what is being learned of each machine; None: there is nothing to be learned. share, first: see above.
    """

    def __init__(
        self,
        device: LearnedTimes | None,
        server: LearnedTimes | None,
        *,
        share: float = SHARE,
        first: float = FIRST,
        worth: float = WORTH,
    ) -> None:
        self._learned = tuple((place, side) for place, side in ((0, device), (2, server)) if side is not None)
        self._share, self._first, self._worth = share, first, worth
        self._usual = SwitchingRule()
        self.spent_s = self.total_s = 0.0
        """What learning was predicted to cost so far, and what all inferences took."""
        self._first_s: float | None = None
        self._excess_s: dict[str, float] = {}
        self._count, self._next, self._wait = 0, 0, 1
        self._looked_at: tuple[str, int] | None = None

    def cost(self, parts: Parts) -> float:
        return self._usual.cost(parts)

    def choose(self, parts: Mapping[str, Parts], spread: float, now_s: float) -> Choice:
        """The cut to use, of those in `parts`, by label; at least one."""
        choice = self._usual.choose(parts, spread, now_s)
        if self._first_s is None:
            self._first_s = self._first * parts[choice.fastest].latency_s
        rival, told = self._to_learn(parts, choice.fastest)
        if rival is None or told == choice.fastest:
            self._excess_s.pop(choice.cut, None)
            return choice
        self._excess_s[told] = parts[told].latency_s - parts[choice.fastest].latency_s
        return Choice(told, choice.fastest, f"tells whether {rival} is faster than {choice.fastest}")

    def failed(self, cut: str, now_s: float) -> None:
        self._usual.failed(cut, now_s)

    def saw(self, label: str, cut: Cut, parts: Parts, now_s: float) -> None:
        self.total_s += parts.latency_s
        self.spent_s += self._excess_s.pop(label, 0.0)
        self._count += 1

    def _to_learn(self, parts: Mapping[str, Parts], fastest: str) -> tuple[str | None, str]:
        """The cut that may be faster than the fastest, None if it is not worth to be known; and the cut to run for that."""
        if not self._due(fastest):
            return None, fastest
        rival, gain_s = self._rival(parts, fastest)
        if rival is None:
            self._next, self._wait = self._count + self._wait, min(2 * self._wait, _LONGEST_WAIT)
            return None, fastest
        self._wait = 1
        return rival, self._telling(parts, fastest, rival, gain_s)

    def _due(self, fastest: str) -> bool:
        """Is it time to look whether there is something to learn?"""
        looked_at = fastest, sum(side.jumps for _, side in self._learned)
        if looked_at != self._looked_at:
            self._looked_at, self._next, self._wait = looked_at, self._count, 1
        return self._count >= self._next

    def _rival(self, parts: Mapping[str, Parts], fastest: str) -> tuple[str | None, float]:
        """The cut that may gain most on the fastest one, and how much; None where that is not worth to be known."""
        best = parts[fastest]
        best_s = best.latency_s
        rival: str | None = None
        most_s = self._worth * best_s
        for label, each in parts.items():
            behind_s = each.latency_s - best_s
            # A deviation is less than the sum of both times, whatever is known.
            if label == fastest or behind_s >= each.device_s + each.server_s + best.device_s + best.server_s - most_s:
                continue
            squares = 0.0
            for place, side in self._learned:
                squares += _deviation(side, label, each[place], fastest, best[place]) ** 2
            if (gain_s := sqrt(squares) - behind_s) > most_s:
                rival, most_s = label, gain_s
        return rival, most_s

    def _telling(self, parts: Mapping[str, Parts], fastest: str, rival: str, gain_s: float) -> str:
        """The cut to run: the one that tells most of whether the rival is faster, for its price."""
        best_s = parts[fastest].latency_s
        room_s = (self._first_s or 0.0) + self._share * self.total_s - self.spent_s
        one, other = parts[rival], parts[fastest]
        doubts = [(place, side, _difference(side, rival, one[place], fastest, other[place])) for place, side in self._learned]
        whole = sum(doubt.variance for _, _, doubt in doubts)
        chosen, least = fastest, float("inf")
        for label, each in parts.items():
            behind_s = each.latency_s - best_s
            if behind_s > max(room_s, 0.0):
                continue
            told = sum(side.told_by(label, each[place], doubt) * doubt.variance for place, side, doubt in doubts) / whole
            price = (behind_s + gain_s) ** 2 / max(told, 1e-9)
            if price < least:
                chosen, least = label, price
        return chosen


def _difference(side: LearnedTimes, one: str, one_s: float, other: str, other_s: float) -> Doubt:
    """How little is known of the difference between the times of two cuts, in seconds, near what is predicted."""
    return side.doubt({one: one_s, other: -other_s})


def _deviation(side: LearnedTimes, one: str, one_s: float, other: str, other_s: float) -> float:
    """The standard deviation of that difference; as times are never below zero, it is less than the longer one of both."""
    if not (longer_s := max(one_s, other_s)):
        return 0.0
    return longer_s * (1 - exp(-sqrt(_difference(side, one, one_s, other, other_s).variance) / longer_s))
