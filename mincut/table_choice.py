"""A few of many placements: those whose lower envelope is nearest to that of all, anywhere in a box of prices. Needs scipy.

Let E(w) be the least cost of all placements at the prices w, and E_S(w) that of the kept ones, S. What S loses is the largest
E_S(w) / E(w) - 1 over the cone K of prices that the box allows.

Theorem. The largest ratio r is reached at an extreme ray of a cell of E_S over K. Proof: on one cell E_S is linear and every
point is a non-negative combination of the cell's rays w_i; E is concave and homogeneous, so with r the largest ratio at these
rays E(sum a_i w_i) >= sum a_i E(w_i) >= sum a_i E_S(w_i) / r = E_S(sum a_i w_i) / r. QED

Nothing else is asked of E, so the same holds for the optimum of all allowed placements, whether they are known or not. With
one minimum cut for each ray of E_S `mincut.proof.prove` proves what S loses to that.

The offload price is left out, as in `mincut.lower_envelope`, which needs "everything on the device" in S where it is in E. Let
it cost D, the other placements at least O_S and O, and let offloading cost p more. Where D <= O + p nothing is lost. Elsewhere
min(D, O_S + p) / (O + p) <= min(D / O, O_S / O), since O_S >= O: the loss is largest without that price.

Which S of a given size loses least: over finitely many prices this asks, for a loss z, for a set cover, as each price needs a
placement that loses at most z there. Prices come in as they are needed: those rays of the best S so far at which it loses more
than it does over the prices before. No set does better over all prices than the best one does over some; so once no ray is
left, S is the best of all of its size. How many rounds that takes is not bounded, so they are counted, and what no set can
stay below is given beside the loss. Sets of tuples whose largest loss is least were asked for by Nanongkai, Das Sarma, Lall,
Lipton and Xu (Regret-minimizing representative databases, PVLDB 3, 2010), who add the tuple that is missed most.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp

from mincut.lower_envelope import ALL_AXES, PriceBox, envelope_cone
from mincut.oracle import all_prices
from mincut.problem import BoolArray, Features
from mincut.rays import Vector

MOST_ROUNDS = 200

FloatArray = npt.NDArray[np.float64]


class Choice(NamedTuple):
    """groups: which are kept, ascending. loss: of these, relative. at_least: no others of as many groups lose less."""

    groups: tuple[int, ...]
    loss: float
    at_least: float


def choose(
    features: Sequence[Features],
    groups: Sequence[int],
    always: Collection[int],
    most: int,
    box: PriceBox,
    *,
    most_rounds: int = MOST_ROUNDS,
) -> Choice:
    """At most so many groups of placements, with the least loss to all of them; see the module.

    Args:
        features: of each placement. groups: the number of its group, from 0 up; those of one group are kept together or not at
            all.
        always: groups that are kept in any case, no more than `most`; that of "everything on the device" among them if it is
            there.
        most_rounds: after these the best choice so far is given.
    """
    prices: FloatArray = np.empty((0, max(groups) + 1))
    best: tuple[int, ...] = ()
    lowest, at_least = inf, 1.0
    chosen = tuple(sorted(always)) or (0,)
    for _ in range(most_rounds):
        kept = [each for each, group in zip(features, groups, strict=True) if group in chosen]
        found = np.array([_ratios(features, groups, ray) for ray in _rays(kept, box)])
        ratios = found[:, chosen].min(axis=1)
        if ratios.max() < lowest or not best:
            best, lowest = chosen, float(ratios.max())
        prices = np.vstack([prices, found[ratios > at_least]])
        better, at_least = _best_over(prices, sorted(always), most, at_least, lowest)
        if better is None:
            break
        chosen = better
    return Choice(best, lowest - 1, at_least - 1)


def _rays(kept: Sequence[Features], box: PriceBox) -> list[Vector]:
    """The prices at the corners of the envelope of these placements."""
    cone, _ = envelope_cone(box, ALL_AXES, kept)
    return [all_prices(ray[:-1], ALL_AXES) for ray in cone.rays if any(ray[:-1])]


def _ratios(features: Sequence[Features], groups: Sequence[int], weights: Vector) -> FloatArray:
    """float64[groups]: how many times as dear as the cheapest of all the cheapest of each group is."""
    costs = [each.cost(weights) for each in features]
    least = dict(zip(groups, costs, strict=True))
    for group, cost in zip(groups, costs, strict=True):
        least[group] = min(least[group], cost)
    cheapest = min(costs)
    if cheapest == 0:
        return np.array([inf if least[group] else 1.0 for group in range(len(least))])
    # Whole numbers of any size divide into the nearest float.
    return np.array([least[group] / cheapest for group in range(len(least))])


def _best_over(
    prices: FloatArray, always: Sequence[int], most: int, at_least: float, below: float
) -> tuple[tuple[int, ...] | None, float]:
    """The groups with the least largest ratio over some prices, and that ratio; None if it is not below `below`.

    prices: float64[prices, groups] ratios. at_least: what the answer is known to reach.
    """
    values = np.unique(prices)
    values = values[(values >= at_least) & (values < below)]
    chosen = None
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        cover = _cover(prices <= values[middle], always)
        if cover is None or len(cover) > most:
            low = middle + 1
        else:
            chosen, high = cover, middle
    return chosen, below if chosen is None else float(values[low])


def _cover(serves: BoolArray, always: Sequence[int]) -> tuple[int, ...] | None:
    """The fewest groups of which one serves each price, `always` among them; None if some price is served by none.

    serves: bool[prices, groups].
    """
    rest = np.unique(serves[~serves[:, always].any(axis=1)], axis=0)
    if not len(rest):
        return tuple(always) or (0,)
    if not rest.any(axis=1).all():
        return None
    count = serves.shape[1]
    least = np.zeros(count)
    least[list(always)] = 1
    answer = milp(
        np.ones(count),
        integrality=np.ones(count),
        bounds=Bounds(least, np.ones(count)),
        constraints=LinearConstraint(rest.astype(np.float64), 1, np.inf),
    )
    return tuple(np.flatnonzero(answer.x > 0.5).tolist())
