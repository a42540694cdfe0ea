"""Decisions the table does not cover: a minimum cut on the spot, on all ops. Needs numpy and numba.

The fused graph of a network of hundreds of ops is solved in some ten microseconds, so nothing is gained by solving a
compressed one that would be exact only for costs near the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from cic.compilation.lowering import NS_PER_S, weights
from cic.decision.answer import Decision, RoundedDecision, SolvedDecision
from cic.decision.cic_file import details_of
from cic.decision.conditions import Conditions
from cic.decision.off_table.problem import codec_names, shown_alternatives, stored_problem
from cic.decision.splitting_model import NEGLIGIBLE_GAP, Cut, SplittingModel
from cic.decision.units import shown
from cic.errors import DecisionError
from mincut.codecs import cheapest_codecs
from mincut.prepared import PreparedProblem, prepare
from mincut.problem import LARGEST_COST, BoolArray, Features, IntArray, Prices, Problem
from mincut.scaling import SCALED_COST
from mincut.weighted import solve_weighted

LONGEST_OP_S = 1e5
LARGEST_SUM = 2**62


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is made once per splitting model.

    problem: as compiled. prepared: that ready to solve, or its alternatives. op_id: ids of ops by name.
    codec_names: of each tensor. known: the table's cuts by their ops and codecs.
    emitted: their ids by their ops alone, as cuts that differ in codecs share head and tail.
    simple: placements that need no search, bool[n], and their features; they tell how large prices may be.
    """

    problem: Problem
    prepared: tuple[PreparedProblem, ...]
    op_id: Mapping[str, int]
    codec_names: Sequence[Sequence[str]]
    known: Mapping[tuple[bytes, tuple[str, ...]], Cut]
    emitted: Mapping[bytes, str]
    simple: tuple[tuple[BoolArray, Features], ...]

    @property
    def plain(self) -> IntArray | None:
        """Every tensor under its first codec; None where tensors have none."""
        return None if self.problem.codecs is None else np.zeros(self.problem.tensor_count, dtype=np.int64)


_PREPARED: WeakKeyDictionary[SplittingModel, _Prepared] = WeakKeyDictionary()


def decide_off_table(
    model: SplittingModel, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None
) -> Decision:
    """The optimal cut for any conditions and op times.

    Raises:
        DecisionError: `op_times` names an op that does not exist, or a time that is no time.
    """
    ready = _prepared(model)
    device_ns, server_ns = _op_times(model, ready, op_times)

    def with_times(on_device: BoolArray, features: Features) -> Features:
        before = ready.problem
        device_more = int(device_ns[on_device].sum()) - int(before.device_ns[on_device].sum())
        server_more = int(server_ns[~on_device].sum()) - int(before.server_ns[~on_device].sum())
        return features._replace(device_ns=features.device_ns + device_more, server_ns=features.server_ns + server_more)

    unit_costs = weights(conditions)
    costs = [
        sum(amount * weight for amount, weight in zip(with_times(*simple), unit_costs, strict=True)) for simple in ready.simple
    ]
    cheapest = min(costs)
    prices = _fine_prices(unit_costs, cheapest)
    kind: type[Decision] = SolvedDecision
    if prices is not None:
        solved = [(prepared, *prepared.solve(device_ns, server_ns, prices)) for prepared in ready.prepared]
        prepared, on_device, _ = min(solved, key=lambda each: each[2])
        codec = cheapest_codecs(prepared.forms, prices, LARGEST_COST) if ready.problem.codecs is not None else None
    elif cheapest == 0:
        # Nothing is cheaper than what costs nothing.
        on_device, codec = ready.simple[costs.index(0)][0], ready.plain
    else:
        parts = [replace(prepared.problem, device_ns=device_ns, server_ns=server_ns) for prepared in ready.prepared]
        weighed = [solve_weighted(part, unit_costs, cheapest) for part in parts]
        on_device, codec, _, _ = min(weighed, key=lambda each: each.cost)
        kind = SolvedDecision if max(each.gap for each in weighed) <= NEGLIGIBLE_GAP else RoundedDecision
    names = _codec_names(ready, on_device, codec)
    known = ready.known.get((on_device.tobytes(), names))
    if known is not None and op_times is None:
        return kind(known, conditions.numbers, model)
    features = with_times(on_device, ready.problem.features(on_device, codec))
    cut = Cut(ready.emitted.get(on_device.tobytes(), "not-emitted"), features, _details(model, on_device), names)
    return kind(cut, conditions.numbers, model)


def _fine_prices(unit_costs: Sequence[float], cheapest: float) -> Prices | None:
    """Integer prices whose rounding hides less than is negligible, None if those that int64 has room for are too coarse.

    If rounding changes each price by a share of at most e, it changes every cost by no more, so what is cheapest afterwards
    is within 2 e / (1 - e) of the optimum.
    """
    if cheapest <= 0:
        return None
    scale = SCALED_COST / cheapest
    prices = Prices(*(round(weight * scale) for weight in unit_costs))
    coarse = (
        abs(price - weight * scale) > NEGLIGIBLE_GAP / 4 * weight * scale
        for price, weight in zip(prices, unit_costs, strict=True)
    )
    return None if any(coarse) else prices


def _codec_names(ready: _Prepared, on_device: BoolArray, codec: IntArray | None) -> tuple[str, ...]:
    if codec is None:
        return ()
    crossing = np.flatnonzero(ready.problem.crossing(on_device)).tolist()
    return tuple(ready.codec_names[tensor][codec[tensor]] for tensor in crossing)


def _details(model: SplittingModel, on_device: BoolArray) -> Callable[[], tuple[tuple[str, ...], tuple[str, ...]]]:
    def document() -> Mapping[str, Any]:
        return {**model.graph(), "cuts": [np.flatnonzero(on_device).tolist()]}

    return details_of(document, 0)


def _prepared(model: SplittingModel) -> _Prepared:
    ready = _PREPARED.get(model)
    if ready is None:
        whole, problem = model.graph(), stored_problem(model)
        known = {}
        for cut, ops in zip(model.cuts, whole["cuts"], strict=True):
            on_device = np.zeros(problem.op_count, dtype=np.bool_)
            on_device[ops] = True
            known[on_device.tobytes(), cut.codecs] = cut
        prepared = tuple(prepare(part) for part in shown_alternatives(model, problem) or [problem])
        sides = [prepared[0].feasible, np.ones(problem.op_count, dtype=np.bool_)]
        ready = _Prepared(
            problem,
            prepared,
            {op["name"]: index for index, op in enumerate(whole["ops"])},
            codec_names(model),
            known,
            {side: cut.id for (side, _), cut in known.items()},
            tuple((side, problem.features(side)) for side in sides if problem.violation(side) is None),
        )
        _PREPARED[model] = ready
    return ready


def _op_times(
    model: SplittingModel, ready: _Prepared, op_times: Mapping[str, tuple[float, float]] | None
) -> tuple[IntArray, IntArray]:
    problem = ready.problem
    if not isinstance(op_times, Mapping | None):
        raise DecisionError(f"op_times are {shown(op_times)}, expected a dict from names of ops to (device, server) seconds")
    if not op_times:
        return problem.device_ns, problem.server_ns
    device_ns, server_ns = problem.device_ns.copy(), problem.server_ns.copy()
    for name, times in op_times.items():
        op = ready.op_id.get(name)
        if op is None:
            raise DecisionError(
                f"op_times names {shown(name)}, which {model.name} does not have; `cic show --ops` lists its ops"
            )
        if not isinstance(times, list | tuple) or len(times) != 2 or not all(map(_is_time, times)):
            raise DecisionError(f"op_times of {name} are {shown(times)}, expected (device seconds, server seconds)")
        device_ns[op], server_ns[op] = round(times[0] * NS_PER_S), round(times[1] * NS_PER_S)
    for side, amounts in (("device", device_ns), ("server", server_ns)):
        if int(amounts.max()) * len(amounts) >= LARGEST_SUM and sum(amounts.tolist()) >= LARGEST_SUM:
            raise DecisionError(f"op_times on the {side} add up to {sum(amounts.tolist())} ns; they must stay below 2^62")
    return device_ns, server_ns


def _is_time(seconds: Any) -> bool:
    # Numbers of numpy are such, too.
    is_number = isinstance(seconds, Real)
    return is_number and bool(0 <= seconds < LONGEST_OP_S)
