"""Decisions by a quantile: the cut that is answered within the least time with a given probability.

Let a cut that leaves all to the device take at most F times what is predicted for it, and any other cut G times, both with
the probability q, as records of a session tell (`cic.session.recorded_intervals`). Then the least of these bounds is looked
for.

**Optimal.** Let c be the fastest cut, and proved to be that. If c offloads, no other cut that offloads has a lower bound, as
all have the factor G. Device-only has none lower than the answer if it is in the table, where it is compared, or if F >= G.
If c is device-only and F <= G, all others are predicted to take as long at least, and have a factor as large at least. So the
answer is optimal in these cases. Otherwise some cut that is not in the table might have a lower bound. QED

Standard library only.
"""

from __future__ import annotations

from math import inf

from cic.decision.answer import Decision
from cic.decision.units import show_seconds, shown
from cic.errors import DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable

    class Factors(Protocol):
        """What `cic.LatencyIntervals` is."""

        def factor(self, quantile: float, *, offloads: bool) -> float:
            """As of `cic.session.recorded_intervals`."""

        def count(self, *, offloads: bool) -> int:
            """As of `cic.session.recorded_intervals`."""


def decide_by_quantile(
    decided: Decision, table: CutTable, chosen: Sequence[Cut], quantile: float | None, intervals: Factors | None
) -> QuantileDecision:
    """The cut with the least bound of its latency.

    Args:
        decided: the decision by latency for the same conditions. chosen: the cuts of the table that there are to choose from.

    Raises:
        DecisionError: the quantile is no number between 0 and 1, there are no intervals, or fewer records than it needs.
    """
    if not isinstance(quantile, float) or not 0.0 < quantile < 1.0:
        raise DecisionError(f"quantile is {shown(quantile)}; a number between 0 and 1 is expected, such as 0.95")
    if not (hasattr(intervals, "factor") and hasattr(intervals, "count")):
        raise DecisionError(
            f"quantile is {quantile:g} and intervals is {shown(intervals)}; give those of a session's records,"
            ' cic.LatencyIntervals.from_records("run.jsonl", model)'
        )
    assert intervals is not None
    factors = {offloads: intervals.factor(quantile, offloads=offloads) for offloads in (False, True)}
    conditions = decided.conditions
    candidates = decided.cut, *chosen
    bounds = [(_times(factors[bool(cut.offloads)], cut.latency_s(conditions)), index) for index, cut in enumerate(candidates)]
    upper_s, index = min(bounds)
    if upper_s == inf:
        raise DecisionError(
            f"too few inferences are recorded for the quantile {quantile:g}: {intervals.count(offloads=False)} of the device"
            f" alone and {intervals.count(offloads=True)} of the server; record more, or ask for a lower quantile"
        )
    optimal = decided.optimal and _holds_all(decided.cut, chosen, factors[False], factors[True])
    given = conditions.numbers
    return QuantileDecision(candidates[index], given, table, quantile, upper_s, decided.source, optimal=optimal)


def _times(factor: float, latency_s: float) -> float:
    return inf if factor == inf else factor * latency_s


def _holds_all(fastest: Cut, chosen: Sequence[Cut], device: float, server: float) -> bool:
    """Is no cut outside of the table better than all in it? See the module."""
    if fastest.offloads:
        return device >= server or not all(cut.offloads for cut in chosen)
    return device <= server


class QuantileDecision(Decision):
    """A decision by a quantile of the latency; `latency_s` and `terms` are what is predicted of its cut.

    quantile, upper_s: with this probability it takes at most so many seconds.
    """

    __slots__ = ("_optimal", "quantile", "source", "upper_s")

    def __init__(
        self,
        cut: Cut,
        given: float | tuple[float, float, float, float, float],
        table: CutTable,
        quantile: float,
        upper_s: float,
        source: str,
        *,
        optimal: bool,
    ) -> None:
        super().__init__(cut, given, table)
        self.quantile, self.upper_s, self.source, self._optimal = quantile, upper_s, source, optimal

    @property
    def optimal(self) -> bool:
        """No allowed cut has a lower bound under these conditions: proved."""
        return self._optimal

    @property
    def why(self) -> str:
        """One sentence for people: how the prediction compares with the better side alone, and the bound."""
        return f"{super().why}; within {show_seconds(self.upper_s)} in {self.quantile:.4g} of all cases"

    def __reduce__(self) -> tuple[Any, ...]:
        cuts = self._table.cuts
        place = next((index for index, cut in enumerate(cuts) if cut is self.cut), None)
        kept = self.quantile, self.upper_s, self.source, self._optimal
        return _quantile_again, (self._table, self.cut if place is None else place, self._given, *kept)


def _quantile_again(
    table: CutTable, cut: Cut | int, given: Any, quantile: float, upper_s: float, source: str, optimal: bool
) -> QuantileDecision:
    """A decision that was pickled; a cut of the table is that table's own."""
    cut = table.cuts[cut] if isinstance(cut, int) else cut
    return QuantileDecision(cut, given, table, quantile, upper_s, source, optimal=optimal)
