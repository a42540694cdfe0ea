"""How long the work of each cut takes on a machine of which nothing was known: an extended Kalman filter over a few logarithms.

Let x_k(c) be the time of the ops of cut c that belong to group k (`cic.session.work_shares`), at usual figures. The model is

    measured time of c = sum_k x_k(c) exp(s + r_k) * exp(e_c) + time on top, with log-normal noise

where s is the logarithm of the machine's slowdown, r_k by how much its figures deviate from it for the ops of group k, and e_c
what the groups do not explain of cut c. The logarithm of this, time on top aside, is linear in s and e_c and nearly so in r_k,
so the filter (Kalman 1960; linearised as in Jazwinski, "Stochastic Processes and Filtering Theory", 1970) converges from any
start in a few steps: the first time that is measured tells s for all cuts, later ones of other cuts tell the r_k. Variances
say how much is known, which probing needs (`cic.session.learning_rule`).

At first s may be anything within a factor of e^3 with a probability of 95 %, r_k within e (that of
starts within e^3), e_c within a fifth. s drifts, since
load and temperature do; the others stay. A jump is noticed by the innovation in its standard deviations: beyond `ONCE`, or
beyond `TWICE` two times in a row on the same side. What has jumped then is s, so its variance grows by the square of the
innovation. One measurement alone changes the slowdown by a factor of two at most then, as a program that was paused once is
not slow.

That e_c is uncorrelated with the rest is an approximation, by which a cut that was run is thought to be known less well than
it is; it keeps the filter at five numbers, and a step at a few microseconds. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, inf, log, sqrt
from operator import mul
from typing import Any, NamedTuple

from cic.session.averages import LowestOf
from cic.session.work_shares import GROUPS, Shares
from codegen.checked_json import Fields, is_number

SCALE_SD, START_SD, GROUP_SD, OWN_SD, NOISE_SD = 1.5, 1.5, 0.5, 0.1, 0.1
DRIFT_SD = 0.05
"""Of s after a second; after t seconds the square root of t times as much."""
LATER_SD = 0.5
"""Of s between two sessions."""
ONCE, TWICE = 3.5, 2.0

_LARGEST_STEP = log(2.0)
_REMEMBERED_S, _NEWS_S = 60.0, 0.5
_LEAST_NOISE_SD, _MOST_NOISE_SD, _NOISE_STEP = 0.02, 0.4, 0.05
_LEAST_OWN_SD = 0.01
# Of a measured time so much may be on top, and nobody knows.
_UNSURE_S = 2e-4
_TOP_STEP, _MOST_NEW_TOP_S = 0.3, 1e-3
_MOST_TOP_S = 1.0
_LARGEST_LOG, _MOST_VARIANCE = log(1e5), 1e3


class Doubt(NamedTuple):
    """Of a sum of amounts of logarithms, by cut: its variance, and what each number of the state has to do with it."""

    variance: float
    told: tuple[float, ...]
    amounts: Mapping[str, float]


class Learnt(NamedTuple):
    """All that was learnt of a machine, as JSON values. own: the mean and the variance of e_c by cut."""

    state: list[float]
    variances: list[list[float]]
    own: dict[str, tuple[float, float]]
    noise: float
    top_s: float


class LearnedTimes:
    """One machine. Cuts are known by their labels. Times are those of one monotonic clock, in seconds.

    shares: of each cut's work, by group. whole_s: what all of the network takes at usual figures; other cuts have time on top.
    """

    def __init__(self, shares: Shares, whole_s: float = 0.0) -> None:
        self._shares, self._whole_s = shares, whole_s or inf
        self._state = [0.0] * (1 + len(GROUPS))
        self._variances = [[0.0] * len(self._state) for _ in self._state]
        self._variances[0][0] = SCALE_SD**2
        for place in range(1, len(self._state)):
            self._variances[place][place] = GROUP_SD**2
        self._variances[1 + GROUPS.index("starts")][1 + GROUPS.index("starts")] = START_SD**2
        self._own: dict[str, tuple[float, float]] = {}
        self._noise, self._top_s, self._surprise = NOISE_SD**2, 0.0, 0.0
        self.jumps = 0
        """How often the machine was found to be another than it was."""
        self._seen_s: float | None = None
        self._lowest = LowestOf(_REMEMBERED_S)
        self._ran = [1.0, *(0.0 for _ in GROUPS)]
        # What the logarithms stand for, kept until they change: a plan asks for each cut.
        self._slowdown, self._rates, self._factors = 1.0, (1.0,) * len(GROUPS), dict[str, float]()

    def observe(self, cut: str, profiled_s: float, measured_s: float, now_s: float) -> None:
        """See that work of `profiled_s` in the splitting model took `measured_s`."""
        shares = self._shares.get(cut)
        top_s = self._top_s if profiled_s < self._whole_s else 0.0
        if shares is None or profiled_s <= 0.0:
            most_s = min(2 * self._top_s + _MOST_NEW_TOP_S, _MOST_TOP_S)
            self._top_s += _TOP_STEP * (min(max(measured_s, 0.0), most_s) - self._top_s)
            return
        self._age(now_s)
        worked_s = max(measured_s - top_s, 0.1 * measured_s, 1e-9)
        own, own_variance = self._own.get(cut, (0.0, OWN_SD**2))
        amounts = list(map(mul, shares, self._rates))
        total = sum(amounts)
        missed = log(worked_s / (profiled_s * self._slowdown * total)) - own
        direction = self._ran = [1.0, *[amount / total for amount in amounts]]
        noise = self._noise + (_UNSURE_S / worked_s) ** 2
        told = self._times(direction)
        variance = max(sum(map(mul, direction, told)), 0.0) + own_variance + noise
        surprise, self._surprise = self._surprise, missed / sqrt(variance)
        again = surprise * self._surprise > 0 and min(abs(surprise), abs(self._surprise)) > TWICE
        if again or abs(self._surprise) > ONCE:
            self.jumps += 1
            if not again:
                missed = min(max(missed, -_LARGEST_STEP), _LARGEST_STEP)
            self._variances[0][0] += missed * missed
            told[0] += missed * missed
            variance += missed * missed
        else:
            self._saw_noise(missed * missed - variance, variance)
        self._correct(told, missed, variance)
        own += own_variance / variance * missed
        self._own[cut] = own, max(own_variance - own_variance**2 / variance, _LEAST_OWN_SD**2)
        self._changed()
        self._lowest.add(self._slowdown, now_s)

    def slowdown(self, now_s: float) -> float:
        """The factor of the machine, 1 for usual figures."""
        return self._slowdown

    def hoped_slowdown(self, now_s: float) -> float:
        """As of the cut that was run last: two standard deviations smaller, or as small as in the last minute."""
        known = sum(map(mul, self._ran, self._times(self._ran)))
        hoped = self._slowdown * exp(-2 * sqrt(min(max(known, 0.0) + self._drift(now_s), SCALE_SD**2)))
        lowest = self._lowest.lowest if self._seen_s is not None and now_s - self._seen_s > _NEWS_S else None
        return hoped if lowest is None else min(hoped, lowest)

    def seconds(self, cut: str, profiled_s: float, slowdown: float) -> float:
        """What work of `profiled_s` takes for this cut, at that slowdown of the machine."""
        factor = self._factors.get(cut)
        if factor is None:
            shares = self._shares.get(cut)
            factor = self._factors[cut] = 1.0 if shares is None else self._factor(cut, shares)
        return profiled_s * slowdown * factor + (self._top_s if profiled_s < self._whole_s else 0.0)

    def doubt(self, amounts: Mapping[str, float]) -> Doubt:
        """How little is known of a sum: of so many times the logarithm of the time of each of these cuts."""
        whole, own = [0.0] * len(self._state), 0.0
        for cut, amount in amounts.items():
            shares = self._shares.get(cut)
            if shares is not None and amount:
                whole = [total + amount * part for total, part in zip(whole, self._direction(shares), strict=True)]
                own += amount * amount * self._own_variance(cut)
        told = self._times(whole)
        return Doubt(max(sum(map(mul, whole, told)), 0.0) + own, tuple(told), amounts)

    def told_by(self, cut: str, seconds: float, doubt: Doubt) -> float:
        """Which share of a doubt's variance would be gone once this cut was run, whose work takes so long here."""
        shares = self._shares.get(cut)
        if shares is None or doubt.variance <= 0.0 or seconds <= 0.0:
            return 0.0
        direction, own_variance = self._direction(shares), self._own_variance(cut)
        together = sum(map(mul, direction, doubt.told)) + doubt.amounts.get(cut, 0.0) * own_variance
        variance = max(sum(map(mul, direction, self._times(direction))), 0.0) + own_variance
        variance += self._noise + (_UNSURE_S / seconds) ** 2
        return float(together * together / (variance * doubt.variance))

    @property
    def learnt(self) -> Learnt:
        """All of it, to go on with later."""
        return Learnt(self._state, self._variances, self._own, self._noise, self._top_s)

    def read(self, fields: Fields) -> Learnt:
        """What another process has learnt of the same splitting model. Raises ValueError, naming the field."""
        size = len(self._state)
        variances = [_row(row, fields, size) for row in fields.items("variances", size)]
        if any(variances[place][place] <= 0 for place in range(size)):
            raise fields.unfit("variances", [variances[place][place] for place in range(size)], "a diagonal above 0")
        own = fields.object("own")
        return Learnt(
            [_within(value) for value in fields.numbers("state", size)],
            variances,
            {cut: _own(own.numbers(cut, 2)) for cut in own.all_names() if cut in self._shares},
            fields.number("noise", _LEAST_NOISE_SD**2, _MOST_NOISE_SD**2),
            fields.number("top_s", 0.0, _MOST_TOP_S),
        )

    def begin_with(self, learnt: Learnt) -> None:
        """Go on with it; the slowdown may be another by now."""
        self._state, self._variances, self._own, self._noise, self._top_s = learnt
        self._variances[0][0] += LATER_SD**2
        self._changed()

    def _own_variance(self, cut: str) -> float:
        return self._own.get(cut, (0.0, OWN_SD**2))[1]

    def _factor(self, cut: str, shares: Sequence[float]) -> float:
        return float(sum(map(mul, shares, self._rates))) * exp(self._own.get(cut, (0.0, 0.0))[0])

    def _direction(self, shares: Sequence[float]) -> list[float]:
        """The derivatives of the logarithm of a cut's time, by s and by the r_k."""
        amounts = list(map(mul, shares, self._rates))
        total = sum(amounts)
        return [1.0, *(amount / total for amount in amounts)]

    def _times(self, direction: Sequence[float]) -> list[float]:
        # Written out for the five numbers, as `_correct` is: that takes half the time of anything general.
        a, b, c, d, e = direction
        return [row[0] * a + row[1] * b + row[2] * c + row[3] * d + row[4] * e for row in self._variances]

    def _correct(self, told: Sequence[float], missed: float, variance: float) -> None:
        gain = [here / variance for here in told]
        self._state = [_within(value + each * missed) for value, each in zip(self._state, gain, strict=True)]
        a, b, c, d, e = told
        self._variances = [
            [row[0] - each * a, row[1] - each * b, row[2] - each * c, row[3] - each * d, row[4] - each * e]
            for row, each in zip(self._variances, gain, strict=True)
        ]

    def _saw_noise(self, more: float, variance: float) -> None:
        """Squares of innovations are as large as their variance on average. What they are more is noise, as far as that is."""
        noise = self._noise * (1 + _NOISE_STEP * min(more, 3 * variance) / variance)
        self._noise = min(max(noise, _LEAST_NOISE_SD**2), _MOST_NOISE_SD**2)

    def _age(self, now_s: float) -> None:
        self._variances[0][0] = max(min(self._variances[0][0] + self._drift(now_s), SCALE_SD**2), self._variances[0][0])
        self._seen_s = now_s

    def _drift(self, now_s: float) -> float:
        return 0.0 if self._seen_s is None else DRIFT_SD**2 * max(0.0, now_s - self._seen_s)

    def _changed(self) -> None:
        scale, *deviations = self._state
        self._slowdown, self._rates, self._factors = exp(scale), tuple(map(exp, deviations)), {}


def _within(value: float) -> float:
    """A logarithm that does no harm."""
    return value if -_LARGEST_LOG < value < _LARGEST_LOG else min(max(value, -_LARGEST_LOG), _LARGEST_LOG)


def _row(value: Any, fields: Fields, size: int) -> list[float]:
    """A row of the matrix of variances."""
    fit = isinstance(value, list) and len(value) == size
    if not fit or not all(is_number(each, -_MOST_VARIANCE, _MOST_VARIANCE) for each in value):
        raise fields.unfit("variances", value, f"rows of {size} numbers")
    return [float(each) for each in value]


def _own(value: Sequence[float]) -> tuple[float, float]:
    mean, variance = value
    return _within(mean), min(max(variance, _LEAST_OWN_SD**2), OWN_SD**2)
