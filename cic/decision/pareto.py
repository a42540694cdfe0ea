"""Pareto-optimal cuts by two sums of their parts, such as latency and energy. By look-ups only.

A cut is Pareto-optimal if no allowed cut is better by one sum and at least as good by the other. It is *supported* if it
makes first + w second least for some weight 0 < w < infinity. Each such w is one weighted sum of the five features, so the
table holds its supported cuts wherever equivalent conditions lie in the box, which they do for an interval of w
(`cic.decision.equivalent`). Among the cuts of the table, those of least first + w second for some w are the corners of their
lower convex hull; each corner has its interval of w. Where both intervals have a w in common, the corner is a cut of least
first + w second of all closed sets. Hence it is Pareto-optimal, for one that is nowhere worse and somewhere better had a
smaller sum. QED

Other Pareto-optimal cuts lie above the hull. Those of them that are in the table are told, too, as known ones.

Standard library only.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf

from cic.decision.equivalent import SECONDS, covered_range, weighed
from cic.decision.frozen import Frozen
from cic.decision.units import shown
from cic.errors import DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cic.decision.conditions import Conditions
    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable
    from cic.decision.energy import Energy
    from cic.decision.equivalent import Prices

SUMS = ("latency", "energy", "upload", "server")
"""Seconds; joules of the device; bytes to the server; seconds that the server computes."""


class ParetoCut(Frozen):
    """A cut that no known cut beats by both sums.

    values: of both sums by name. supported: is it a corner of the convex hull of the known cuts? proved: is it Pareto-optimal
    among all closed sets?
    """

    __slots__ = ("cut", "proved", "supported", "values")
    cut: Cut
    values: dict[str, float]
    supported: bool
    proved: bool


class ParetoFront(Frozen):
    """The Pareto-optimal cuts that are known under some conditions, by ascending first sum.

    names: of both sums, of `SUMS`. energy: what the device draws, None if it was not asked for.
    cuts: with distinct values. complete: is every pair of values of a Pareto-optimal cut among them? Proved.
    """

    __slots__ = ("complete", "conditions", "cuts", "energy", "names")
    names: tuple[str, str]
    conditions: Conditions
    energy: Energy | None
    cuts: tuple[ParetoCut, ...]
    complete: bool

    def __iter__(self) -> Iterator[ParetoCut]:
        return iter(self.cuts)

    def __len__(self) -> int:
        return len(self.cuts)


def prices_of(name: str, energy: Energy | None, conditions: Conditions) -> Prices:
    """What a second of each part counts in a sum of `SUMS`.

    Raises:
        DecisionError: there is no such sum, or it is energy and the powers are not given.
    """
    if name == "latency":
        return SECONDS
    if name == "upload":
        return 0.0, conditions.uplink_bps / 8, 0.0, 0.0, 0.0
    if name == "server":
        return 0.0, 0.0, 1.0, 0.0, 0.0
    if name != "energy":
        raise DecisionError(f"{shown(name)} is no sum to compare cuts by; there are {', '.join(SUMS)}")
    if energy is None:
        raise DecisionError("cuts are to be compared by energy, but no powers are given: pass energy=cic.Energy(…)")
    return energy.powers(conditions)


def pareto_front(table: CutTable, names: tuple[str, str], conditions: Conditions, energy: Energy | None) -> ParetoFront:
    """The known Pareto-optimal cuts, each with its proof or without.

    Raises:
        DecisionError: as `prices_of`, or both sums are the same.
    """
    if names[0] == names[1]:
        raise DecisionError(f"cuts are to be compared by {names[0]} and {names[1]}; name two sums that differ")
    first, second = (prices_of(name, energy, conditions) for name in names)
    costed = [(weighed(first, cut, conditions), weighed(second, cut, conditions), cut) for cut in table.cuts]
    known = _undominated(costed)
    covered = covered_range(first, second, conditions, table.box) if table.proved else None
    corners = _corners([(x, y) for x, y, _ in known])
    proved = {index for index, weights in corners.items() if covered is not None and _meet(weights, covered)}
    cuts = tuple(
        ParetoCut(cut=cut, values=dict(zip(names, (x, y), strict=True)), supported=index in corners, proved=index in proved)
        for index, (x, y, cut) in enumerate(known)
    )
    # Two corners leave room between them for cuts above the hull; one that is least of all by both sums leaves none.
    complete = len(cuts) == 1 and covered == (0.0, inf)
    return ParetoFront(names=names, conditions=conditions, energy=energy, cuts=cuts, complete=complete)


def _undominated(costed: Sequence[tuple[float, float, Cut]]) -> list[tuple[float, float, Cut]]:
    """Ascending by the first sum; of equal ones the first of the table."""
    found: list[tuple[float, float, Cut]] = []
    for each in sorted(costed, key=lambda each: each[:2]):
        if not found or each[1] < found[-1][1]:
            found.append(each)
    return found


def _corners(points: Sequence[tuple[float, float]]) -> dict[int, tuple[float, float]]:
    """The corners of the lower convex hull of a front, each with the weights for which x + weight y is least there."""
    hull: list[int] = []
    for index in range(len(points)):
        while len(hull) > 1 and _weight(points, hull[-2], index) <= _weight(points, hull[-2], hull[-1]):
            hull.pop()
        hull.append(index)
    ends = [0.0, *(_weight(points, left, right) for left, right in pairwise(hull)), inf]
    return {index: (low, high) for index, (low, high) in zip(hull, pairwise(ends), strict=True)}


def _weight(points: Sequence[tuple[float, float]], left: int, right: int) -> float:
    """Of y, at which two points weigh the same."""
    return (points[right][0] - points[left][0]) / (points[left][1] - points[right][1])


def _meet(weights: tuple[float, float], others: tuple[float, float]) -> bool:
    """Do two ranges have a weight in common that is neither 0 nor infinite?"""
    low, high = max(weights[0], others[0]), min(weights[1], others[1])
    return low <= high and low < inf and high > 0
