"""The cheapest cut that keeps a limit, exactly: branch and bound on all ops (`mincut.bounded`). Needs numpy, numba and scipy.

Both sums become rows of whole numbers, on a scale each. Rounding the prices of a row moves no cut's amount by more than half of
the largest amounts together. So a cut within the limit has a rounded amount within the rounded limit and that much more: the
search under this bound misses no cut, and what it proves holds of all, less what rounding moves. The cut that it finds is
weighed without rounding. If it exceeds the limit by no more than rounding hides, a search under that much less finds one that
does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from cic.decision.conditions import Conditions
from cic.decision.energy import Limited
from cic.decision.objective import NS_PER_S, weights
from cic.decision.off_table.solving import OffTable, Solved
from mincut.bound_tree import Bounded
from mincut.bounded import solve_bounded
from mincut.errors import InfeasibleError, MincutError
from mincut.problem import Features, Problem
from mincut.rows import combined, feature_rows
from mincut.scaling import SCALED_COST

if TYPE_CHECKING:
    from cic.decision.equivalent import Prices

MOST_CUTS = 20_000
_MOST_SCALES = 4


class Within(NamedTuple):
    """The cheapest cut that keeps the limit, None if no allowed cut does. at_least: none that does costs less, in J or s."""

    solved: Solved | None
    at_least: float


def solve_within(off_table: OffTable, objective: Limited, conditions: Conditions, known_cost: float | None) -> Within | None:
    """The optimum, or None where rounding hides which cut it is, or the budget of minimum cuts runs out.

    Args:
        known_cost: of a cut that keeps the limit, in J or s; None: none is known.
    """
    least = _unit_costs(objective.least(conditions), conditions)
    used = _unit_costs(objective.used(conditions), conditions)
    limit = objective.limit * NS_PER_S
    known = max(_weigh(least, features) for features in off_table.simple) if known_cost is None else known_cost * NS_PER_S
    rounding = _rounding(off_table.problems)
    try:
        # An entry beyond the scale is cut off, so a cut that was found to be dearer than thought gives a scale that fits.
        for _ in range(_MOST_SCALES):
            search = _Search(off_table, _scaled(least, known), _scaled(used, limit))
            found = search.within(SCALED_COST + rounding)
            if found is None:
                return Within(None, inf)
            best, at_least = found
            cost = _weigh(least, off_table.features(best.on_device, best.codec))
            if cost <= 1.5 * known:
                break
            known = cost
        if _weigh(used, off_table.features(best.on_device, best.codec)) > limit:
            kept = search.within(SCALED_COST - rounding)
            if kept is None:
                return None
            best = kept[0]
    except MincutError:
        return None
    proved = max(at_least - rounding, 0) * known / SCALED_COST
    return Within(off_table.as_cut(best.on_device, best.codec, exact=True), proved / NS_PER_S)


class _Search(NamedTuple):
    """cost, used: whole prices of the five features."""

    off_table: OffTable
    cost: tuple[int, ...]
    used: tuple[int, ...]

    def within(self, most: int) -> tuple[Bounded, int] | None:
        """The best placement that uses at most this, and what is proved of all; None if there is none."""
        found = []
        for problem in self.off_table.problems:
            rows = feature_rows(problem)
            cost, bound = combined("cost", rows, self.cost), (combined("limit", rows, self.used), most)
            bounds = [bound, *self.off_table.bounds_of(problem)]
            try:
                found.append(solve_bounded(problem, cost, bounds, most_cuts=MOST_CUTS))
            except InfeasibleError:
                continue
        if not found:
            return None
        return min(found, key=lambda each: each.cost), min(each.at_least for each in found)


def _scaled(unit_costs: Sequence[float], whole: float) -> tuple[int, ...]:
    """Whole prices, by which `whole` becomes `SCALED_COST`."""
    return tuple(round(weight * SCALED_COST / whole) for weight in unit_costs)


def _rounding(problems: Sequence[Problem]) -> int:
    """By how much rounding five prices may move the amount of any placement."""

    def largest(problem: Problem) -> int:
        forms = problem.forms
        amounts = (
            problem.device_ns,
            problem.server_ns,
            problem.download_bytes,
            forms.device_ns,
            forms.server_ns,
            forms.wire_bytes,
        )
        return sum(int(each.sum(dtype=object)) for each in amounts) + 1

    return max(map(largest, problems)) // 2 + 1


def _unit_costs(prices: Prices, conditions: Conditions) -> tuple[float, ...]:
    """What a unit of each feature costs, in 1e-9 J or s."""
    device, uplink, server, downlink, rtt = prices
    in_order = (device, server, uplink, downlink, rtt)
    return tuple(price * weight for price, weight in zip(in_order, weights(conditions), strict=True))


def _weigh(unit_costs: Sequence[float], features: Features) -> float:
    return sum(amount * weight for amount, weight in zip(features, unit_costs, strict=True))
