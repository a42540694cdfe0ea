"""Throughput as the objective: the interval between two answers of a stream, which is what the slowest stage takes.

In a stream the device computes one inference while another one is on the uplink, a third with the server and a fourth on the
downlink (`cic.session.stream`). So an answer comes out every max(device, uplink, server, downlink) seconds; what all four
take together, and the round trip, delay answers and do not make them fewer. Leaving all to the server is such a pipeline, too,
of three stages; leaving all to the device is one of a single stage.

A maximum is not linear in what a cut uses, so the table for latency need not hold the best cut. A splitting model that was
compiled with `throughput=` holds it in a box of its own (`cic.decision.stream_proof`), where a look-up finds it. Elsewhere it
is solved for, as `mincut.stage_front` explains. Without numpy and numba the best known cut is answered.

Standard library only.
"""

from __future__ import annotations

from cic.decision.answer import Decision
from cic.decision.conditions import Conditions
from cic.decision.units import show_bandwidth
from cic.errors import DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable

    OpTimes = Mapping[str, tuple[float, float]]
    Solve = Callable[[Conditions, OpTimes | None], Cut | None]

STAGES = ("device", "uplink", "server", "downlink")


class Throughput:
    """As many answers a second as possible, in a stream: an objective for `SplittingModel.decide` and `cic.Session`."""

    __slots__ = ()

    def cost(self, cut: Cut, conditions: Conditions) -> float:
        """Seconds between two answers of a stream: what is least for the decided cut."""
        return max(cut.terms(conditions)[:4])

    def per_batch(self, ratio: float) -> Throughput:
        """This objective at the compiled batch, for a batch that is so many times as large (see `cic.decision.batch`)."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Throughput)

    def __hash__(self) -> int:
        return hash(Throughput)

    def __repr__(self) -> str:
        return "Throughput()"


def decide_throughput(
    table: CutTable,
    chosen: Sequence[Cut],
    conditions: Conditions,
    objective: Throughput,
    op_times: OpTimes | None,
    solve: Solve,
) -> ThroughputDecision:
    """The cut with the shortest interval; of several such cuts one with the lowest latency.

    Args:
        chosen: cuts of the table to choose from. op_times: as of `SplittingModel.decide`.
        solve: the best of all allowed cuts under any conditions; None where that cannot be computed.

    Raises:
        DecisionError: op times are given, and some cuts to choose from, or no solver is installed.
    """
    among = len(chosen) < len(table.cuts)
    if op_times is not None and among:
        raise DecisionError("op_times and among are both given; other op times may make a cut best that is not in the table")
    covered = op_times is None and table.stream is not None and table.stream.covers(conditions)
    if not covered and not among:
        solved = solve(conditions, op_times)
        if solved is not None:
            return ThroughputDecision(solved, conditions.numbers, table, objective, "solver", optimal=True)

    def rank(cut: Cut) -> tuple[float, float]:
        return objective.cost(cut, conditions), cut.latency_s(conditions)

    best = min(chosen, key=rank)
    optimal = covered and (not among or objective.cost(best, conditions) <= min(map(rank, table.cuts))[0])
    return ThroughputDecision(best, conditions.numbers, table, objective, "table", optimal=optimal)


class ThroughputDecision(Decision):
    """A decision by throughput: the cut is the one with the shortest interval, and the times are those of that cut.

    objective: what was least. source: as of `Decision`. optimal: no allowed cut has a shorter interval under these conditions:
        proved.
    """

    __slots__ = ("_optimal", "objective", "source")

    def __init__(
        self,
        cut: Cut,
        given: tuple[float, float, float, float, float],
        table: CutTable,
        objective: Throughput,
        source: str,
        *,
        optimal: bool,
    ) -> None:
        super().__init__(cut, given, table)
        self.objective, self.source, self._optimal = objective, source, optimal

    @property
    def optimal(self) -> bool:
        """No allowed cut has a shorter interval under these conditions: proved."""
        return self._optimal

    @property
    def outside(self) -> tuple[str, ...]:
        """Which conditions lie outside the box that was compiled for streams, each as a text for people; empty if none."""
        stream, conditions = self._table.stream, self.conditions
        if stream is None or stream.covers(conditions):
            return ()
        uplink_bps, downlink_bps, _, device, server = conditions.numbers
        return stream.box.outside(Conditions(uplink_bps, downlink_bps, stream.box.rtt_s[0], device, server))

    @property
    def interval_s(self) -> float:
        """Predicted seconds between two answers of a stream."""
        return self.objective.cost(self.cut, self.conditions)

    @property
    def frames_per_second(self) -> float:
        """Predicted answers a second; infinite where nothing takes any time."""
        return _rate(self.interval_s)

    @property
    def slowest_stage(self) -> str:
        """The one that the others wait for: device, uplink, server or downlink."""
        terms = self.cut.terms(self.conditions)[:4]
        return STAGES[terms.index(max(terms))]

    @property
    def why(self) -> str:
        """One sentence for people: the rate, which stage sets it, and what the better side alone would reach in a stream."""
        conditions = self.conditions
        rate = _rate(self.interval_s)
        text = (
            f"{self.cut.label} at {show_bandwidth(conditions.uplink_bps)}: {rate:.3g} answers/s, as fast as its slowest stage, "
            f"the {self.slowest_stage}"
        )
        others = self._other_sides(lambda cut: self.objective.cost(cut, conditions))
        if not others:
            return text
        interval_s, better = min(others)
        return f"{text}; {better} gives {_rate(interval_s):.3g}"

    def __reduce__(self) -> tuple[Any, ...]:
        cut, table = self.cut, self._table
        place = next((index for index, each in enumerate(table.cuts) if each is cut), None)
        return _throughput_again, (
            table,
            cut if place is None else place,
            self._given,
            self.objective,
            self.source,
            self._optimal,
        )


def _rate(interval_s: float) -> float:
    return 1 / interval_s if interval_s else float("inf")


def _throughput_again(
    table: CutTable, cut: Cut | int, given: Any, objective: Throughput, source: str, optimal: bool
) -> ThroughputDecision:
    """A decision that was pickled; a cut of the table is that table's own."""
    cut = table.cuts[cut] if isinstance(cut, int) else cut
    return ThroughputDecision(cut, given, table, objective, source, optimal=optimal)
