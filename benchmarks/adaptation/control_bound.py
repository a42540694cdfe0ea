"""An offline lower bound for control: the least average penalty of any choices that keep the budgets, by a linear program.

Whoever knows all conditions beforehand may give each frame to any action, also by lot. Let x(w, a) be the share of all frames
that come in state w and are given to action a. Then

    least  sum x p   with   sum_a x(w, a) = share(w),   sum x seconds <= frame_s,   sum x joules <= joules,   x >= 0

is at most what any controller pays on average (Neely, Stochastic Network Optimization, 2010, section 4.5: the stationary
randomised optimum). The cuts of a table are enough: by duality the program's value is the greatest over prices of the budgets,
not below 0, of the sum of the states' least weighted sums, and each of those the table has (`cic.control.controller`).

All sums here are of seconds and joules alone, so of a state's actions only those on the lower left hull of the two are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from cic.control.controlled_device import ControlledDevice
from cic.control.controller import Penalty
from cic.control.targets import Budget
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.decision.equivalent import SECONDS, weighed


@dataclass(frozen=True, eq=False)
class Bound:
    """penalty: the least average. taken: float64[states, 2], the seconds and joules that a frame takes in each state there."""

    penalty: float
    taken: np.ndarray


def offered(device: ControlledDevice, cuts: Sequence[Cut], now: Conditions) -> np.ndarray:
    """Seconds and joules above idle of every action: float64[actions, 2], those of the hull, from the quickest on."""
    rows = []
    for setting in device.settings:
        under = setting.under(now)
        watts = device.watts(setting, under.uplink_bps, under.downlink_bps)
        rows += [(weighed(SECONDS, cut, under), weighed(watts, cut, under)) for cut in cuts]
    return np.array(lower_left(rows))


def lower_left(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that are least for some prices of both coordinates, not below 0: from the least first to the least second."""
    hull: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if hull and point[1] >= hull[-1][1]:
            continue
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 where the way a → b → c turns to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def penalties(taken: np.ndarray, least: Penalty) -> np.ndarray:
    """Of rows of seconds and joules."""
    return np.asarray(least.per_second * taken[:, 0] + least.per_joule * taken[:, 1])


def least_penalty(states: Sequence[np.ndarray], frames: Sequence[int], budget: Budget, least: Penalty) -> Bound | None:
    """The bound for so many frames in each state, whose actions take so much; None if no choices keep the budget."""
    shares = np.array(frames, dtype=float) / sum(frames)
    actions = np.concatenate(states)
    state = np.repeat(np.arange(len(states)), [len(each) for each in states])
    limits = [(actions[:, 0], budget.frame_s), (actions[:, 1], budget.joules), (actions[:, 0], budget.latency_s)]
    rows = [(amounts / limit, 1.0) for amounts, limit in limits if isfinite(limit)]
    solved = linprog(
        penalties(actions, least),
        A_ub=np.array([row for row, _ in rows]),
        b_ub=np.array([limit for _, limit in rows]),
        A_eq=csr_array((np.ones(len(actions)), (state, np.arange(len(actions)))), shape=(len(states), len(actions))),
        b_eq=shares,
        method="highs",
    )
    if solved.status != 0:
        return None
    taken = np.zeros((len(states), 2))
    np.add.at(taken, state, solved.x[:, None] * actions)
    return Bound(float(solved.fun), taken / np.maximum(shares, 1e-300)[:, None])


def added(taken: np.ndarray, budget: Budget) -> np.ndarray:
    """What rows of seconds and joules add to the queues: float64[rows, 3]; 0 for a queue that has no target."""
    limits = np.array([budget.frame_s, budget.joules, budget.latency_s])
    return np.where(np.isfinite(limits), taken[:, [0, 1, 0]] / limits - 1, 0.0)


def certified_gap(
    queues: np.ndarray, taken: np.ndarray, expected: np.ndarray, optimum: np.ndarray, budget: Budget, v: float
) -> float:
    """By how much the average penalty of a run exceeds the program's at most, whatever its conditions were.

    As in `cic.control.controller`, with the queues that the run had. With L half the sum of their squares, over N frames

        L(N) - L(0)  <=  sum of y^2 / 2 + X y,

    and the rule paid no more than the optimum would have in each frame, for the expected y. So the gap is at most

        (L(0) - L(N)) / (N V)  +  the average of  (y^2 / 2 + X y* + X (y - expected y)) / V.

    Args:
        queues: float64[frames + 1, 3], when each frame was decided, and behind the last. taken, expected, optimum:
            float64[frames, 2], seconds and joules with noise, in expectation, and those of the program's optimum in that state.
    """
    y, y_expected, y_optimum = (added(rows, budget) for rows in (taken, expected, optimum))
    first, last = (float((queues[place] ** 2).sum() / 2) for place in (0, -1))
    average = (y**2 / 2 + queues[:-1] * (y_optimum + y - y_expected)).sum(1).mean()
    return float(average + (first - last) / len(y)) / v
