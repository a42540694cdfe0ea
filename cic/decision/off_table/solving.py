"""Decisions the table does not cover: a minimum cut on the spot, on all ops. Needs numpy and numba.

The fused graph of a network of hundreds of ops is solved in some ten microseconds, so nothing is gained by solving a
compressed one that would be exact only for costs near the profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numba  # noqa: F401 - where it is missing, that shows while a decision can still be looked up
import numpy as np

from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.decision.cut_table import CutTable
from cic.decision.objective import NS_PER_S, weights
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import codecs_of, shown_alternatives, side_of, stored_problem
from cic.decision.proof import NEGLIGIBLE_GAP
from cic.decision.stored_graph import StoredGraph
from cic.decision.units import shown
from cic.errors import ArtifactError, DecisionError
from mincut.bound_tree import Bound, keeps
from mincut.codecs import cheapest_codecs
from mincut.errors import MincutError, TooManyError
from mincut.prepared import prepare
from mincut.problem import LARGEST_COST, BoolArray, Features, IntArray, Problem
from mincut.scaling import fine_prices
from mincut.stage_front import StageBox, stage_front
from mincut.weighted import solve_weighted

LONGEST_OP_S = 1e5
LARGEST_SUM = 2**62
MOST_PARTIAL = 200_000
"""Of partial placements that are looked at on the spot: more take a device too long."""

OpTimes = Mapping[str, tuple[float, float]]
"""Seconds (device, server) of ops by name."""


@dataclass(frozen=True, eq=False)
class Solved:
    """The cheapest placement that was found.

    cut: the cut of the table that it is; None if it is no such cut, or takes other times.
    cut_id: names the emitted halves with these ops, "not-emitted" if there are none. features: five whole numbers.
    device_ops: by their numbers. codecs: of the crossing tensors, empty if tensors have none.
    exact: is no allowed placement cheaper, up to `NEGLIGIBLE_GAP`?
    """

    cut: Cut | None
    cut_id: str
    features: Features
    device_ops: tuple[int, ...]
    codecs: tuple[str, ...]
    exact: bool


class OffTable:
    """The solver of one splitting model: all that needs to be made once.

    Raises:
        ArtifactError: the graph makes no problem that can be solved, or does not fit the table.
    """

    def __init__(self, table: CutTable, graph: StoredGraph) -> None:
        self._name = table.name
        self._op_id = {op.name: index for index, op in enumerate(graph.ops)}
        self._codec_names = [tensor.codecs for tensor in graph.read]
        try:
            self._problem = stored_problem(graph)
            alternatives = shown_alternatives(table, graph, self._problem)
            self._prepared = tuple(prepare(part) for part in alternatives or [self._problem])
        except (ArtifactError, MincutError) as error:
            raise ArtifactError(f"{table.name}: {error}") from error
        placed = [(side_of(self._problem, ops).tobytes(), cut) for cut, ops in zip(table.cuts, graph.cuts, strict=True)]
        self._known = {(side, cut.codecs): cut for side, cut in placed}
        # By ops alone, as cuts that differ in codecs share head and tail.
        self._emitted = {side: cut.id for side, cut in placed}
        # Placements that need no search tell how large prices may be.
        sides = [self._prepared[0].feasible, np.ones(self._problem.op_count, dtype=np.bool_)]
        allowed = [side for side in sides if self._problem.violation(side) is None]
        self._simple = [(side, self._problem.features(side)) for side in allowed]
        self._limits = limit_rows(graph)
        self._bounds = self.bounds_of(self._problem)
        # The cuts of the table keep within all limits, whatever ops take.
        self._within = [
            (side_of(self._problem, ops), codecs_of(graph, self._problem, cut, side_of(self._problem, ops)))
            for cut, ops in zip(table.cuts if self._bounds else (), graph.cuts if self._bounds else (), strict=True)
        ]

    def solve(self, conditions: Conditions, op_times: OpTimes | None) -> Solved:
        """The optimal placement for any conditions and op times.

        Raises:
            DecisionError: `op_times` names an op that does not exist, or a time that is no time.
        """
        device_ns, server_ns = self._times(op_times)
        problem, unit_costs = self._problem, weights(conditions)

        def with_times(on_device: BoolArray, features: Features) -> Features:
            device_more = int(device_ns[on_device].sum()) - int(problem.device_ns[on_device].sum())
            server_more = int(server_ns[~on_device].sum()) - int(problem.server_ns[~on_device].sum())
            return features._replace(device_ns=features.device_ns + device_more, server_ns=features.server_ns + server_more)

        costs = [_cost(with_times(*simple), unit_costs) for simple in self._simple]
        on_device, codec, exact = self._cheapest(device_ns, server_ns, unit_costs, costs)
        if self._bounds and not keeps(problem, self._bounds, on_device, codec):
            # The best known one: a search within limits is for those who compile.
            exact = False
            on_device, codec = min(
                self._within, key=lambda each: _cost(with_times(each[0], problem.features(*each)), unit_costs)
            )
        found = self.as_cut(on_device, codec, exact)
        if op_times is None:
            return found
        return replace(found, cut=None, features=with_times(on_device, problem.features(on_device, codec)))

    def as_cut(self, on_device: BoolArray, codec: IntArray | None, exact: bool) -> Solved:
        """A placement at the profiled op times, and which cut of the table it is.

        Args:
            on_device: bool[n]. codec: int64[m], which form each tensor crosses in; None where tensors have none.
        """
        names = self._names(on_device, codec)
        known = self._known.get((on_device.tobytes(), names))
        features = self.features(on_device, codec) if known is None else Features(*known.features)
        cut_id = self._emitted.get(on_device.tobytes(), "not-emitted")
        return Solved(known, cut_id, features, tuple(np.flatnonzero(on_device).tolist()), names, exact)

    def solve_stages(self, conditions: Conditions, op_times: OpTimes | None) -> Solved | None:
        """The placement of the shortest interval (`mincut.stage_front`).

        None if too many would have to be looked at, or if it exceeds a limit of the model.

        Raises:
            DecisionError: as `solve`.
        """
        device_ns, server_ns = self._times(op_times)
        whole, *parts = (
            replace(problem, device_ns=device_ns, server_ns=server_ns)
            for problem in (self._problem, *(prepared.problem for prepared in self._prepared))
        )
        try:
            found = stage_front(whole, StageBox.at(weights(conditions)[:4]), alternatives=parts, most_partial=MOST_PARTIAL)
        except TooManyError:
            return None
        on_device, codec = found.placements[0], found.codecs[0]
        if self._bounds and not keeps(whole, self._bounds, on_device, codec):
            return None
        solved = self.as_cut(on_device, codec, exact=True)
        return solved if op_times is None else replace(solved, cut=None, features=whole.features(on_device, codec))

    def features(self, on_device: BoolArray, codec: IntArray | None) -> Features:
        """Of a placement, at the profiled op times."""
        return self._problem.features(on_device, codec)

    def bounds_of(self, problem: Problem) -> list[Bound]:
        """What every cut of the model keeps within, as rows of one of `problems`."""
        return [] if self._limits is None else list(self._limits(problem))

    @property
    def problems(self) -> list[Problem]:
        """A placement is allowed if one of these allows it."""
        return [prepared.problem for prepared in self._prepared]

    @property
    def simple(self) -> list[Features]:
        """Features of placements that need no search."""
        return [features for _, features in self._simple]

    def _cheapest(
        self, device_ns: IntArray, server_ns: IntArray, unit_costs: Sequence[float], simple_costs: Sequence[float]
    ) -> tuple[BoolArray, IntArray | None, bool]:
        """The device side, the codec of each tensor, and whether the minimum is exact."""
        cheapest = min(simple_costs)
        prices = fine_prices(unit_costs, cheapest, NEGLIGIBLE_GAP)
        if prices is not None:
            solved = [(prepared, *prepared.solve(device_ns, server_ns, prices)) for prepared in self._prepared]
            prepared, on_device, _ = min(solved, key=lambda each: each[2])
            has_codecs = self._problem.codecs is not None
            return on_device, cheapest_codecs(prepared.problem.forms, prices, LARGEST_COST) if has_codecs else None, True
        if cheapest == 0:
            # Nothing is cheaper than what costs nothing.
            return self._simple[simple_costs.index(0)][0], self._plain, True
        parts = [replace(prepared.problem, device_ns=device_ns, server_ns=server_ns) for prepared in self._prepared]
        weighed = [solve_weighted(part, unit_costs, cheapest) for part in parts]
        on_device, codec, _, _ = min(weighed, key=lambda each: each.cost)
        return on_device, codec, max(each.gap for each in weighed) <= NEGLIGIBLE_GAP

    @property
    def _plain(self) -> IntArray | None:
        """Every tensor under its first codec; None where tensors have none."""
        return None if self._problem.codecs is None else np.zeros(self._problem.tensor_count, dtype=np.int64)

    def _names(self, on_device: BoolArray, codec: IntArray | None) -> tuple[str, ...]:
        if codec is None:
            return ()
        crossing = np.flatnonzero(self._problem.crossing(on_device)).tolist()
        return tuple(self._codec_names[tensor][codec[tensor]] for tensor in crossing)

    def _times(self, op_times: OpTimes | None) -> tuple[IntArray, IntArray]:
        problem = self._problem
        if not isinstance(op_times, Mapping | None):
            raise DecisionError(
                f"op_times are {shown(op_times)}, expected a dict from names of ops to (device, server) seconds"
            )
        if not op_times:
            return problem.device_ns, problem.server_ns
        device_ns, server_ns = problem.device_ns.copy(), problem.server_ns.copy()
        for name, times in op_times.items():
            op = self._op_id.get(name)
            if op is None:
                raise DecisionError(
                    f"op_times names {shown(name)}, which {self._name} does not have; `cic show --ops` lists its ops"
                )
            if not isinstance(times, list | tuple) or len(times) != 2 or not all(map(_is_time, times)):
                raise DecisionError(f"op_times of {name} are {shown(times)}, expected (device seconds, server seconds)")
            device_ns[op], server_ns[op] = round(times[0] * NS_PER_S), round(times[1] * NS_PER_S)
        _check_sums(device_ns, server_ns)
        return device_ns, server_ns


def _cost(features: Features, unit_costs: Sequence[float]) -> float:
    return sum(amount * weight for amount, weight in zip(features, unit_costs, strict=True))


def _check_sums(device_ns: IntArray, server_ns: IntArray) -> None:
    for side, amounts in (("device", device_ns), ("server", server_ns)):
        if int(amounts.max()) * len(amounts) >= LARGEST_SUM and sum(amounts.tolist()) >= LARGEST_SUM:
            raise DecisionError(f"op_times on the {side} add up to {sum(amounts.tolist())} ns; they must stay below 2^62")


def _is_time(seconds: Any) -> bool:
    # Numbers of numpy are such, too.
    is_number = isinstance(seconds, Real)
    return is_number and bool(0 <= seconds < LONGEST_OP_S)
