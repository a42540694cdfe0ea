"""An objective with a limit: least energy within a deadline, or least latency within an energy budget. First by look-ups.

Such an optimum may be a cut that no prices make the cheapest, and that is in no table. So a decision consists of two numbers:

* The cheapest cut of the table that keeps the limit. It is allowed, so its cost is an *upper bound* of the optimum.
* A *lower bound* by Lagrange's relaxation (Everett, Operations Research 11, 1963): for each weight w >= 0

      g(w) = min over all closed sets of (cost + w (used - limit)) <= cost of the optimum,

  for the optimum is one of these sets, and used <= limit there. Both sums have the same five features, so cost + w used is one
  weighted sum, and a look-up in the table has its exact minimum wherever equivalent conditions lie in the box. These w are an
  interval (`cic.decision.equivalent`). g is a minimum of lines in w, hence concave: `largest_bound` finds its maximum there.

Where both meet, the cut is optimal among all closed sets. Elsewhere branch and bound on all ops finds the optimum where numpy,
numba and scipy are installed (`cic.decision.off_table.solving_within`); if not, the decision says by how much it may miss it.
QED

Standard library only.
"""

from __future__ import annotations

from math import inf

from cic.decision.answer import Decision
from cic.decision.equivalent import covered_range, equivalent, weighed
from cic.decision.proof import NEGLIGIBLE_GAP
from cic.decision.units import show_bandwidth, show_joules, show_seconds
from cic.errors import DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from cic.decision.conditions import Conditions
    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable
    from cic.decision.energy import Limited

    Point = tuple[float, float]
    """What a cut costs, and how much of the limit it uses."""
    SolveWithin = Callable[[Limited, Conditions, float | None], tuple[Cut | None, float] | None]


def decide_limited(
    table: CutTable, chosen: Sequence[Cut], conditions: Conditions, objective: Limited, op_times: object, solve: SolveWithin
) -> LimitedDecision:
    """The cut of least cost that keeps the limit, of those that are chosen from a table; of all, where a solver is there.

    Args:
        solve: from the objective, the conditions and the cost of the best known cut to the cheapest of all cuts that keep the
            limit, None if none does, and a lower bound of what these cost; or to None where it cannot be computed.

    Raises:
        DecisionError: none keeps it; names the one that comes nearest. Or there are other op times than the table's.
    """
    if op_times is not None:
        raise DecisionError(
            "op_times are given together with a deadline or a budget; with other op times the best cut may not be in the "
            "table, so leave one of them out, or use device_slowdown"
        )
    keeping = [(*_point(objective, cut, conditions), index) for index, cut in enumerate(chosen)]
    keeping = [each for each in keeping if each[1] <= objective.limit]
    cost, _, index = min(keeping, default=(inf, inf, -1))
    at_least, cut, source = _lower_bound(table, conditions, objective), chosen[index], "table"
    is_open = not keeping or cost - at_least > NEGLIGIBLE_GAP * cost
    if is_open and len(chosen) == len(table.cuts):
        solved = solve(objective, conditions, cost if keeping else None)
        if solved is not None:
            found, least = solved
            if found is None:
                raise _nothing_keeps(table, chosen, conditions, objective, proved=True)
            source, at_least = "solver", max(at_least, least)
            if objective.cost(found, conditions) < cost:
                cost, cut = objective.cost(found, conditions), found
    if cost == inf:
        raise _nothing_keeps(table, chosen, conditions, objective)
    gap = cost - at_least
    return LimitedDecision(cut, conditions.numbers, table, objective, gap if gap > NEGLIGIBLE_GAP * cost else 0.0, source)


def _point(objective: Limited, cut: Cut, conditions: Conditions) -> Point:
    return objective.cost(cut, conditions), weighed(objective.used(conditions), cut, conditions)


def _lower_bound(table: CutTable, conditions: Conditions, objective: Limited) -> float:
    """No cut that keeps the limit costs less. 0 where the table says nothing."""
    weights = covered_range(objective.least(conditions), objective.used(conditions), conditions, table.box)
    if weights is None or not table.proved:
        return 0.0
    points = [_point(objective, cut, conditions) for cut in table.cuts]
    return max(largest_bound(points, objective.limit, weights, table.proof.gap or 0.0), 0.0)


def _nothing_keeps(
    table: CutTable, chosen: Sequence[Cut], conditions: Conditions, objective: Limited, *, proved: bool = False
) -> DecisionError:
    nearest = min(chosen, key=lambda cut: weighed(objective.used(conditions), cut, conditions))
    lowest = weighed(objective.used(conditions), nearest, conditions)
    all_there = table.proved and len(chosen) == len(table.cuts)
    proved = proved or (all_there and table.box.contains(equivalent(objective.used(conditions), conditions, table.box)))
    least, show = ("fastest", show_seconds) if objective.budget_j is None else ("most frugal", show_joules)
    return DecisionError(
        f"no {'' if proved else 'known '}cut of {table.name} keeps to {objective.shown} at "
        f"{show_bandwidth(conditions.uplink_bps)}: the {least}, {nearest.label}, takes {show(lowest)}; allow more than that"
    )


def largest_bound(points: Sequence[Point], limit: float, weights: tuple[float, float], gap: float) -> float:
    """The largest lower bound g(w) for w in this range; see the module.

    Args:
        points: cost and use of each cut of a table.
        weights: the lowest and the highest w for which the cheapest cut of the table is the cheapest of all, up to `gap`.
        gap: relative, what a table's proof leaves open.
    """
    low, high = weights

    def at(weight: float) -> tuple[float, float, float]:
        return min((cost + weight * used, used, cost) for cost, used in points)

    def bound(weight: float) -> float:
        return at(weight)[0] * (1 - gap) - weight * limit

    _, slow_used, slow_cost = at(low)
    if slow_used <= limit:
        # g only falls from here on.
        return bound(low)
    if high < inf:
        _, fast_used, fast_cost = at(high)
        if fast_used > limit:
            return bound(high)
    else:
        fast_used, fast_cost = min((used, cost) for cost, used in points)
        if fast_used > limit:
            return bound(low)
    # The maximum lies where a line that rises meets one that falls; any w is a bound, so rounding cannot spoil it.
    weight = low
    for _ in points:
        weight = min(max((fast_cost - slow_cost) / (slow_used - fast_used), low), high)
        value, used, cost = at(weight)
        if value >= slow_cost + weight * slow_used:
            break
        if used > limit:
            slow_used, slow_cost = used, cost
        else:
            fast_used, fast_cost = used, cost
    return bound(weight)


class LimitedDecision(Decision):
    """A decision with a limit: the cheapest known cut that keeps it, and how far from the optimum it may be.

    objective: what was least, and its limit.
    gap: some cut that keeps the limit may cost less by at most this, in the unit of what is least: joules with a deadline (and
        what latency is worth), seconds with a budget. 0 where the cut is optimal.
    """

    __slots__ = ("gap", "objective", "source")

    def __init__(
        self,
        cut: Cut,
        given: tuple[float, float, float, float, float],
        table: CutTable,
        objective: Limited,
        gap: float,
        source: str,
    ) -> None:
        super().__init__(cut, given, table)
        self.objective, self.gap, self.source = objective, gap, source

    @property
    def energy_j(self) -> float:
        """Predicted joules of the device, without what latency is worth."""
        return self.objective.energy.joules(self.cut, self.conditions)

    @property
    def optimal(self) -> bool:
        """No allowed cut that keeps the limit costs less under these conditions: proved."""
        return self.gap == 0.0

    @property
    def why(self) -> str:
        """One sentence for people: what the cut takes within which limit, and what the better side alone would take."""
        conditions, objective = self.conditions, self.objective
        text = (
            f"{self.cut.label} at {show_bandwidth(conditions.uplink_bps)}: {show_joules(self.energy_j)} in "
            f"{show_seconds(self.latency_s)}, within {objective.shown}"
        )
        show = show_joules if objective.budget_j is None else show_seconds
        if not self.optimal:
            text += f"; no cut takes less than {show(objective.cost(self.cut, conditions) - self.gap)}"
        sides = [
            (objective.cost(cut, conditions), cut.id)
            for cut in self._table.cuts
            if cut.id in ("device-only", "server-only")
            and weighed(objective.used(conditions), cut, conditions) <= objective.limit
        ]
        if not sides:
            return f"{text}; neither side alone keeps it"
        lowest, better = min(sides)
        return text if better == self.cut.id else f"{text}; {better} takes {show(lowest)}"

    def __reduce__(self) -> tuple[Any, ...]:
        cut, given, table = self.cut, self._given, self._table
        place = next((index for index, each in enumerate(table.cuts) if each is cut), None)
        return _limited_again, (
            type(self),
            table,
            cut if place is None else place,
            given,
            self.objective,
            self.gap,
            self.source,
        )


def _limited_again(
    kind: Callable[..., LimitedDecision],
    table: CutTable,
    cut: Cut | int,
    given: Any,
    objective: Limited,
    gap: float,
    source: str,
) -> LimitedDecision:
    """A decision that was pickled; a cut of the table is that table's own."""
    return kind(table.cuts[cut] if isinstance(cut, int) else cut, given, table, objective, gap, source)
