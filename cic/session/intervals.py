"""Within what time a call is answered with a given probability: conformal prediction from what the session saw of itself.

The score of an inference is s = ln(measured / predicted latency) / doubt. It is kept apart for the device alone and for the
server, since a link has other errors than a processor. The doubt of a cut that sends is hypot(0.1, spread * share), where the
spread is the standard deviation of the bandwidth's logarithm and the share is that of the uplink in the predicted latency: so
one set of scores serves cuts that depend on the link much and little. That of the device alone is 1.

**Of draws that may be exchanged.** Let the bound for the next score be the ceil((n + 1) q)-th smallest of the last n. If all
n + 1 have the same joint distribution in any order, the rank of the next among them is uniform on 1 to n + 1, so that

    q  <=  P(next <= bound)  (<  q + 1 / (n + 1), where no two are equal).                                              QED

(Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., Journal of the American Statistical
Association 113, 2018.) Where that rank is beyond n, too little was seen: then the bound is the larger one of a prior, a factor
of 2 for the device and of 4 for the server, and of the largest score there is.

**Whatever the link does.** Draws from a link that changes may not be exchanged. So the share of late answers that is asked of
the window adapts (adaptive conformal inference: Gibbs and Candès, NeurIPS 2021). It begins with miss = 1 - q; after each,

    miss  <-  miss + step (1 - q - late),    late = 1 if it took longer than its bound, else 0, step = (1 - q) / 10,

and the next bound is that of the window for 1 - miss: none at all where miss < 0, and 0 where miss > 1. After T inferences,
whatever they took and however wrong the predictions were,

    | share of late ones - (1 - q) |  <=  (max(q, 1 - q) + (d + 1) step) / (T step),

where at most d inferences are under way whose end is not known yet when a bound is given; d = 0 is their Proposition 4.1.
Proof. The sum of (late - (1 - q)) is (miss at first - miss at last) / step, as it telescopes. And miss stays between
-(d + 1) step and 1 + (d + 1) step: below 0 no bound is given, so no inference that begins then is late, and only d that began
before can still lower it, by less than step each; above 1 likewise. QED  Nothing is used of the set between, so the prior
does not spoil it.

Standard library only. An inference takes some 6 us of all this.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from math import ceil, exp, hypot, inf, log
from typing import NamedTuple

from cic.session.abandon_rule import LOCAL_MARGIN
from cic.session.forecast import Parts

TOLD = 0.95
"""The quantile that records tell."""
KEPT = 0.99
"""The share of deadlines that is to be kept."""
WINDOW = 256
"""Scores that are remembered of each kind."""
SETTLING = 3
"""Of each kind the first ones are not: they tell what was believed of machines and link before anything was measured."""

_STEP = 0.1
_MOST_QUANTILES = 16
_OWN_DOUBT, _MOST_SPREAD = 0.1, 0.5
_DEVICE_PRIOR, _SERVER_PRIOR = log(2.0), log(4.0)
# Until enough local answers were seen, their margin is that of the worst, between `LOCAL_MARGIN` and this.
_MOST_MARGIN = 2.0
_SHORTEST_S = 1e-9
# Of 0.95 * 20 and the like, which is a whole number but for its rounding.
_ROUNDING = 1e-9


class Expected(NamedTuple):
    """What is predicted of an inference: whether it asks the server, its latency, and by how much the score of that counts."""

    offloads: bool
    latency_s: float
    doubt: float


class Promise(NamedTuple):
    """What was said of an inference before it began. bounds: by quantile, of ln(measured / predicted); may be infinite."""

    expected: Expected
    bounds: dict[float, float]

    @property
    def upper_s(self) -> float | None:
        """It takes at most so long in `TOLD` of all cases; None if nothing can be said."""
        return _times(self.expected.latency_s, self.bounds[TOLD])


class Scores:
    """The last scores of one kind, and how each quantile of them adapts. Not thread-safe.

    prior: the bound of a score of doubt 1 as long as too few were seen. quantiles: that adapt from the first score on. most:
        so many are remembered. settling: the first ones are not.
    """

    def __init__(self, prior: float, quantiles: tuple[float, ...] = (), most: int = WINDOW, settling: int = 0) -> None:
        self._prior, self._most, self._settling = prior, most, settling
        self._last: deque[float] = deque()
        self._sorted: list[float] = []
        self._misses = {quantile: 1.0 - quantile for quantile in quantiles}

    def __len__(self) -> int:
        return len(self._last)

    def window(self, share: float) -> float | None:
        """The score that the next one is at most with this probability, of exchangeable ones; None: too few were seen."""
        rank = ceil((len(self._sorted) + 1) * share - _ROUNDING)
        if rank > len(self._sorted):
            return None
        return self._sorted[rank - 1] if rank > 0 else -inf

    def bound(self, quantile: float, doubt: float) -> float:
        """The bound of score times doubt that the next inference keeps with this probability. May be infinite.

        A quantile adapts from when it is first asked for; of more than 16 the first ones are forgotten.
        """
        miss = self._misses.get(quantile)
        if miss is None:
            miss = self._misses[quantile] = 1.0 - quantile
            if len(self._misses) > _MOST_QUANTILES:
                del self._misses[next(each for each in self._misses if each not in (TOLD, KEPT))]
        if miss < 0.0:
            return inf
        if miss > 1.0:
            return -inf
        score = self.window(1.0 - miss)
        if score is not None:
            return doubt * score
        return max(self._prior, doubt * self._sorted[-1]) if self._sorted else self._prior

    def bounds(self, doubt: float) -> dict[float, float]:
        """Of all quantiles that adapt."""
        return {quantile: self.bound(quantile, doubt) for quantile in tuple(self._misses)}

    def saw(self, missed: float, doubt: float, bounds: dict[float, float]) -> None:
        """See ln(measured / predicted), and what was said of it before."""
        for quantile, bound in bounds.items():
            miss = self._misses.get(quantile)
            if miss is not None:
                step = _STEP * (1.0 - quantile)
                self._misses[quantile] = miss + step * (1.0 - quantile - (missed > bound))
        self.remember(missed / doubt)

    def remember(self, score: float) -> None:
        """Let a score take the place of the oldest, unless it is one of the first."""
        if self._settling:
            self._settling -= 1
            return
        self._last.append(score)
        if len(self._last) > self._most:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
        insort(self._sorted, score)

    def chance(self, missed: float, doubt: float) -> float:
        """The share of scores, and of the prior as one more, that ln(measured / predicted) = `missed` would keep."""
        kept = bisect_right(self._sorted, missed / doubt) + (missed >= self._prior)
        return kept / (len(self._sorted) + 1)

    @property
    def largest(self) -> float:
        """Of those that are remembered; at least one."""
        return self._sorted[-1]


class Intervals:
    """The intervals of one session. Not thread-safe."""

    def __init__(self) -> None:
        self._device = Scores(_DEVICE_PRIOR, (TOLD, KEPT), settling=SETTLING)
        self._server = Scores(_SERVER_PRIOR, (TOLD, KEPT), settling=SETTLING)
        self._local = Scores(log(LOCAL_MARGIN), (KEPT,), settling=SETTLING)

    def expected(self, parts: Parts, spread: float, *, offloads: bool) -> Expected:
        """What is known of an inference whose parts are predicted. spread: as of `LinkEstimate.spread`."""
        latency_s = sum(parts) or _SHORTEST_S
        if not offloads:
            return Expected(False, latency_s, 1.0)
        doubt = hypot(_OWN_DOUBT, min(spread, _MOST_SPREAD) * parts.uplink_s / latency_s)
        return Expected(True, latency_s, doubt)

    def promise(self, expected: Expected) -> Promise:
        """What is said of an inference that begins now."""
        return Promise(expected, self._of(expected).bounds(expected.doubt))

    def upper_s(self, expected: Expected, quantile: float = TOLD) -> float | None:
        """It takes at most so long with this probability; None if nothing can be said."""
        return _times(expected.latency_s, self._of(expected).bound(quantile, expected.doubt))

    def enough(self, expected: Expected, quantile: float) -> bool:
        """Were as many inferences of its kind seen as this quantile needs? Before, a prior answers."""
        return self._of(expected).window(quantile) is not None

    def surely_s(self, expected: Expected) -> float:
        """As `upper_s` for `KEPT`, and without a prior: infinite where too little was seen."""
        scores = self._of(expected)
        upper_s = self.upper_s(expected, KEPT) if scores.window(KEPT) is not None else None
        return inf if upper_s is None else upper_s

    def chance(self, expected: Expected, within_s: float) -> float:
        """The probability that it is answered within this time, as seen so far; of the device by all its local answers."""
        scores = self._server if expected.offloads else self._local
        return scores.chance(_missed(expected, within_s), expected.doubt)

    def saw(self, promise: Promise, latency_s: float) -> None:
        """See what an inference took."""
        expected = promise.expected
        self._of(expected).saw(_missed(expected, latency_s), expected.doubt, promise.bounds)

    def probed(self, expected: Expected, latency_s: float) -> None:
        """See what a probe took, of which nothing was promised: so a session knows a server that it does not rely on yet.

        One that is given up counts with the time that it had, for nobody knows what it would have taken.
        """
        self._of(expected).remember(_missed(expected, latency_s) / expected.doubt)

    def saw_local(self, predicted_s: float, measured_s: float) -> None:
        """See how long a local answer took from its beginning: of an inference on the device alone, or after a failure."""
        missed = log(max(measured_s, _SHORTEST_S) / max(predicted_s, _SHORTEST_S))
        self._local.saw(missed, 1.0, self._local.bounds(1.0))

    @property
    def local_margin(self) -> float:
        """By what factor a local answer may take longer than predicted, so that `KEPT` of them are in time."""
        scores = self._local
        if not len(scores):
            return LOCAL_MARGIN
        bound = scores.bound(KEPT, 1.0)
        if scores.window(KEPT) is None or bound == inf:
            return max(LOCAL_MARGIN, min(exp(scores.largest), _MOST_MARGIN))
        return max(1.0, exp(bound))

    def _of(self, expected: Expected) -> Scores:
        return self._server if expected.offloads else self._device


def _times(latency_s: float, bound: float) -> float | None:
    return None if bound == inf else latency_s * exp(bound)


def _missed(expected: Expected, latency_s: float) -> float:
    return log(max(latency_s, _SHORTEST_S) / expected.latency_s)
