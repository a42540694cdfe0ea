"""Which cuts keep a deadline, and how long the server is waited for then. Standard library only.

A cut may be tried if an answer is late in at most one of a hundred cases, as far as was learnt (`cic.session.intervals`):

* The device alone, if its own upper quantile keeps the deadline.
* A cut that asks the server, if the device can still answer after its failure: if it is predicted to be over when a local
  answer must begin, which is at (deadline - upper quantile of the local answer). Then it is given up at that moment.
* A cut that asks the server and is itself in time in `KEPT` of all cases, by as many inferences as that needs. It is given up
  at the deadline only: who answers in 30 ms by a deadline of 80 is not left aside because the device takes 70.

If there is no such cut, the device answers if it is in time in nine of ten cases: what it can keep is not left to chance.
Otherwise those cuts are tried that are most likely to be in time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from cic.decision.cut import Cut
from cic.session.abandon_rule import latest_start_s
from cic.session.forecast import Parts
from cic.session.intervals import Intervals

LIKELY = 0.9
"""The share of cases in which a device is in time that is trusted where nothing is sure."""


def margins_in_time(
    cuts: Mapping[str, Cut],
    parts: Mapping[str, Parts],
    intervals: Intervals,
    spread: float,
    local_s: float | None,
    deadline_s: float,
) -> dict[str, float]:
    """The labels of the cuts that keep a deadline, and by what factor a local answer may take longer than predicted.

    Infinite for a cut that needs no local answer. parts: predicted, by label. spread: of the link, as of `LinkEstimate.spread`.
    local_s: predicted for the device alone; None if it cannot answer.
    """
    margin = intervals.local_margin
    last_s = -inf if local_s is None else latest_start_s(deadline_s, local_s, margin)
    margins = {}
    for label, each in parts.items():
        offloads = cuts[label].offloads
        if last_s >= (each.latency_s if offloads else 0.0):
            margins[label] = margin
        elif offloads and intervals.surely_s(intervals.expected(each, spread, offloads=True)) <= deadline_s:
            margins[label] = inf
    return margins


def likeliest(
    labels: Collection[str],
    cuts: Mapping[str, Cut],
    parts: Mapping[str, Parts],
    intervals: Intervals,
    spread: float,
    deadline_s: float,
) -> list[str]:
    """What to try if no cut is sure, of these cuts, of which there is one at least; several where that cannot be told."""
    chances = {}
    for label in labels:
        offloads = cuts[label].offloads
        chances[label] = intervals.chance(intervals.expected(parts[label], spread, offloads=bool(offloads)), deadline_s)
        if not offloads and chances[label] >= LIKELY:
            return [label]
    most = max(chances.values())
    return [label for label, chance in chances.items() if chance == most]
