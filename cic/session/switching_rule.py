"""When to change from one cut to another: for a gain that is larger than what is not known of it. Standard library only.

Let T be the predicted latency of the cut in use and T' that of the fastest one; in a session by throughput, their intervals
(`cic.decision.throughput`), whose doubts are no larger. Changing pays T - T' on each inference, if the
prediction holds. What most of the doubt is about is the bandwidth, and of it only the bytes in which the two cuts differ: where
u and u' are their seconds on the uplink, and s is the standard deviation of the bandwidth's logarithm, the gain has the
standard deviation s |u' - u|. The rule changes if

    rising (u' > u):     T - T'  >  1 % of T  and  T - T'  >  c 2^f min(s |u' - u|, L x')  with c = 1/2
    otherwise:           T - T'  >  1 % of T

To rise is to bet on the link: if it is worse than believed, the latency grows until the exchange is given up, which is
predicted to take x' and is given L = 1.8 times that (`cic.session.abandon_rule`), whereas a cut that sends less loses at most
what it computes more. So rising must be likely to pay, and falling need only pay on the average. f counts the
risings to that cut that had to be taken back within two seconds; it is forgotten after ten seconds of peace, by one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cic.decision.cut import Cut
from cic.session.abandon_rule import LATE
from cic.session.forecast import Parts
from cic.session.policy import Choice

LEAST_GAIN = 0.01
CAUTION = 0.5
_TAKEN_BACK_S, _PEACE_S, _MOST_FAILURES = 2.0, 10.0, 4


def latency_of(parts: Parts) -> float:
    """What is least in a session, unless it is told otherwise."""
    return parts.latency_s


def interval_of(parts: Parts) -> float:
    """What is least in a session by throughput."""
    return parts.interval_s


class SwitchingRule:
    """The rule with its memory. Times are those of one monotonic clock, in seconds. cost: what is to be least."""

    def __init__(
        self, caution: float = CAUTION, least_gain: float = LEAST_GAIN, cost: Callable[[Parts], float] = latency_of
    ) -> None:
        self._caution, self._least_gain, self.cost = caution, least_gain, cost
        self._used: str | None = None
        self._rose_s: float | None = None
        self._failures: dict[str, tuple[int, float]] = {}
        self.switches = 0

    def choose(self, parts: Mapping[str, Parts], spread: float, now_s: float) -> Choice:
        """The cut to use, of those in `parts`, by label; at least one.

        spread: the standard deviation of the logarithm of the uplink's bandwidth.
        """
        # Of intervals that are alike, that of the lower latency.
        fastest = min(parts, key=lambda label: (self.cost(parts[label]), parts[label].latency_s))
        used = self._used
        if used is None or used not in parts:
            return self._change(fastest, parts, now_s, "the fastest")
        if fastest == used:
            return Choice(fastest, fastest, "the fastest")
        now, new = parts[used], parts[fastest]
        gain_s = self.cost(now) - self.cost(new)
        needed_s = self._least_gain * self.cost(now)
        if new.uplink_s > now.uplink_s:
            doubt_s = min(spread * (new.uplink_s - now.uplink_s), LATE * new.exchange_s)
            needed_s = max(needed_s, self._caution * 2 ** self._failed(fastest, now_s) * doubt_s)
        if gain_s <= needed_s:
            why = f"stays, as {fastest} would gain {_ms(gain_s)} of {_ms(needed_s)} needed"
            return Choice(used, fastest, why)
        return self._change(fastest, parts, now_s, f"gains {_ms(gain_s)} on {used}")

    def failed(self, cut: str, now_s: float) -> None:
        """A cut was given up in the middle of an inference; it is not left because of that alone."""
        count, _ = self._failures.get(cut, (0, now_s))
        self._failures[cut] = min(count + 1, _MOST_FAILURES), now_s

    def saw(self, label: str, cut: Cut, parts: Parts, now_s: float) -> None:
        """Nothing is learned from single inferences that the forecast does not know."""

    def _change(self, cut: str, parts: Mapping[str, Parts], now_s: float, why: str) -> Choice:
        left = self._used
        if left is not None and left in parts and left != cut:
            self.switches += 1
            rises = parts[cut].uplink_s > parts[left].uplink_s
            if not rises and self._rose_s is not None and now_s - self._rose_s < _TAKEN_BACK_S:
                self.failed(left, now_s)
            self._rose_s = now_s if rises else None
        self._used = cut
        return Choice(cut, cut, why)

    def _failed(self, cut: str, now_s: float) -> int:
        count, last_s = self._failures.get(cut, (0, now_s))
        return max(0, count - int((now_s - last_s) / _PEACE_S))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
