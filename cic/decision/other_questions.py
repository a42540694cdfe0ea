"""Decisions by energy, a limit, throughput, a quantile, or for a batch: under equivalent conditions, or by the table.

Standard library only.
"""

from __future__ import annotations

from cic.decision.answer import BatchDecision, EnergyDecision
from cic.decision.energy import Energy, Limited
from cic.decision.equivalent import equivalent
from cic.decision.units import shown
from cic.errors import DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cic.decision.answer import Decision
    from cic.decision.conditions import Conditions
    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable
    from cic.decision.limited import SolveWithin
    from cic.decision.quantile import Factors
    from cic.decision.throughput import Solve, Throughput


def decide_otherwise(
    decide: Callable[..., Decision],
    solve_stages: Solve,
    solve_within: SolveWithin,
    table: CutTable,
    conditions: Conditions,
    objective: Energy | Limited | Throughput | str | None,
    batch: int | None,
    share: tuple[float | None, Factors | None],
    op_times: Mapping[str, tuple[float, float]] | None,
    among: Collection[str] | None,
    chosen: Sequence[Cut],
) -> Decision:
    """What `SplittingModel.decide` answers where an objective, a batch or a quantile is given.

    Args:
        decide: of that model, by latency. solve_stages, solve_within: of it, too; see `cic.decision.throughput` and
            `cic.decision.limited`. share: quantile and intervals. chosen: the cuts of its table with the ids `among`. The rest:
            as of `decide`.
    """
    objective = named(objective)

    def by_latency(same: Conditions) -> Decision:
        uplink_bps, downlink_bps, rtt_s, device, server = same.numbers
        return decide(uplink_bps, rtt_s, downlink_bps, device, server, op_times, among)

    def by(objective: Energy | Limited | Throughput, conditions: Conditions) -> Decision:
        if isinstance(objective, Energy):
            decided = by_latency(equivalent(objective.prices(conditions), conditions, table.box))
            return EnergyDecision(decided, conditions.numbers, objective)
        from cic.decision.throughput import Throughput, decide_throughput

        if isinstance(objective, Throughput):
            return decide_throughput(table, chosen, conditions, objective, op_times, solve_stages)
        from cic.decision.limited import decide_limited

        return decide_limited(table, chosen, conditions, objective, op_times, solve_within)

    if share != (None, None):
        if objective is not None or batch is not None or op_times is not None:
            raise DecisionError(
                "a quantile is given together with an objective, a batch or op_times; it is one of recorded latencies, so leave"
                " the others out"
            )
        from cic.decision.quantile import decide_by_quantile

        return decide_by_quantile(by_latency(conditions), table, chosen, *share)
    if batch is None:
        return by_latency(conditions) if objective is None else by(objective, conditions)
    from cic.decision.batch import moved_into, per_compiled_batch, ratio_of

    ratio = ratio_of(batch, table.batch, table.name)
    same = per_compiled_batch(conditions, ratio)
    decided = by_latency(moved_into(table.box, same)) if objective is None else by(objective.per_batch(ratio), same)
    return BatchDecision(decided, conditions.numbers, batch)


def named(objective: Energy | Limited | Throughput | str | None) -> Energy | Limited | Throughput | None:
    """An objective that may be given by its name.

    Raises:
        DecisionError: it is none.
    """
    if objective is None or isinstance(objective, Energy | Limited):
        return objective
    from cic.decision.throughput import Throughput

    if objective == "throughput":
        return Throughput()
    if not isinstance(objective, Throughput):
        raise DecisionError(
            f'the objective is {shown(objective)}; a cic.Energy or "throughput" is expected, or None for latency'
        )
    return objective
