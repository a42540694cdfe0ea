"""The largest gain of any split over the better of both extremes, anywhere in a box of conditions. Needs scipy.

A latency is w . f, with f the features of a cut and w = (device slowdown, server slowdown, s per bit up, s per bit down, rtt).
A box of conditions is a box of w but for the downlink, whose price is within a ratio of the uplink's. The gain of a split,
min over extremes r of (w . r) / (w . c), is quasi-concave in w, since each quotient is quasi-linear where w . c > 0; its
maximum is a linear program after the transformation of Charnes & Cooper (Naval Research Logistics Quarterly 9, 1962): with
v = s w and s so large that v . c = 1, maximise t under v . r >= t for all r, s low <= v <= s high. So every answer here is
the maximum over the whole box, and where no split exceeds 1, none pays anywhere in the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from cic.decision.break_points import Row
from cic.decision.conditions import Box


@dataclass(frozen=True, slots=True)
class BoxGain:
    """split: which one gains most. factor: by how much it is faster there.

    conditions: uplink bit/s, downlink bit/s, rtt s, device slowdown, server slowdown, as `Conditions.numbers`.
    """

    split: int
    factor: float
    conditions: tuple[float, float, float, float, float]


def box_gain(extremes: Sequence[Row], splits: Sequence[Row], box: Box) -> BoxGain | None:
    """See the module; rows as those of `Cut`. None without an extreme to compare with, or without a split."""
    if not extremes or not splits:
        return None
    found = [(split, *_largest(row, extremes, box)) for split, row in enumerate(splits)]
    split, factor, weights = max(found, key=lambda each: each[1])
    device, server, up, down, rtt = weights
    return BoxGain(split, factor, (1 / up, 1 / down, rtt, device, server))


def _largest(split: Row, extremes: Sequence[Row], box: Box) -> tuple[float, tuple[float, ...]]:
    """The largest gain of one split, and the w at which it is reached."""
    if not any(split):
        return float("inf"), (1.0, 1.0, 1 / box.uplink_bps[1], 1 / box.uplink_bps[1], 0.0)
    slowest, fastest = box.uplink_bps
    least, most = box.downlink_ratio
    low = np.array([box.device_slowdown[0], box.server_slowdown[0], 1 / fastest, 1 / (fastest * most), box.rtt_s[0]])
    high = np.array([box.device_slowdown[1], box.server_slowdown[1], 1 / slowest, 1 / (slowest * least), box.rtt_s[1]])
    # In units of its upper end each weight is between 0 and 1; in units of the split's largest latency s is at least 1. The
    # solver's tolerances are absolute.
    unit = np.where(high > 0, high, 1.0)
    rows = np.array([split, *extremes]) * unit
    rows /= rows[0].sum() or 1.0
    up, down = unit[2], unit[3]
    upper = [[*-row, 0.0, 1.0] for row in rows[1:]]
    for place in range(5):
        axis = np.zeros(5)
        axis[place] = 1.0
        upper += [[*-axis, low[place] / unit[place], 0.0], [*axis, -high[place] / unit[place], 0.0]]
    # A bit down costs from 1 / most to 1 / least of a bit up.
    upper += [[0, 0, up / most, -down, 0, 0.0, 0.0], [0, 0, -up / least, down, 0, 0.0, 0.0]]
    answer = linprog(
        [0.0] * 6 + [-1.0],
        A_ub=np.array(upper),
        b_ub=np.zeros(len(upper)),
        A_eq=[[*rows[0], 0.0, 0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * 6 + [(0, None)],
    )
    weights = np.clip(answer.x[:5] / answer.x[5] * unit, low, high)
    latency = np.array([split, *extremes]) @ weights
    return float(latency[1:].min() / latency[0]), tuple(weights.tolist())
