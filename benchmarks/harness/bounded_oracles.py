"""The least of one row within bounds on others, twice more: every placement counted, and a mixed-integer program of HiGHS.

Both take plain lists and share no code with `mincut`, not even how a row is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from benchmarks.harness.plain_problem import PlainProblem


@dataclass(frozen=True)
class PlainRow:
    """What each op adds on either side, what each form of each tensor of the problem adds, and what offloading adds."""

    on_device: list[int]
    on_server: list[int]
    crossing: list[list[int]]
    once: int = 0


def placements(problem: PlainProblem) -> Iterator[tuple[bool, ...]]:
    """Every allowed device side."""
    for side in product((False, True), repeat=problem.op_count):
        if any(pin and side[op] != (pin == 1) for op, pin in enumerate(problem.pinned)):
            continue
        if all(_fits(tensor, side) for tensor in problem.tensors):
            yield side


def crossing_tensors(problem: PlainProblem, side: Sequence[bool]) -> list[int]:
    """Those that are on the device and read on the server."""
    return [
        index
        for index, (producer, readers, _, _) in enumerate(problem.tensors)
        if (producer < 0 or side[producer]) and any(not side[reader] for reader in readers)
    ]


def amount_of(row: PlainRow, side: Sequence[bool], chosen: Sequence[tuple[int, int]]) -> int:
    """The row of a device side and the form of each crossing tensor, as (tensor, form)."""
    ops = sum(row.on_device[op] if here else row.on_server[op] for op, here in enumerate(side))
    return ops + sum(row.crossing[tensor][form] for tensor, form in chosen) + (0 if all(side) else row.once)


def least_by_counting(problem: PlainProblem, cost: PlainRow, bounds: Sequence[tuple[PlainRow, int]]) -> int | None:
    """The least cost within the bounds, None if no placement is."""
    least: int | None = None
    for side in placements(problem):
        crossing = crossing_tensors(problem, side)
        for forms in product(*(range(len(cost.crossing[tensor])) for tensor in crossing)):
            chosen = list(zip(crossing, forms, strict=True))
            if all(amount_of(row, side, chosen) <= most for row, most in bounds):
                found = amount_of(cost, side, chosen)
                least = found if least is None else min(least, found)
    return least


def least_by_highs(
    problem: PlainProblem, cost: PlainRow, bounds: Sequence[tuple[PlainRow, int]], *, gap: float = 0.0
) -> float | None:
    """The same by HiGHS: in floating point, so that amounts must stay far below 2^53. None: infeasible."""
    ops, forms = problem.op_count, [len(each) for each in cost.crossing]
    first = np.cumsum([ops, *forms])
    size = int(first[-1]) + 1
    matrix: list[np.ndarray] = []
    most: list[float] = []

    def at_most(entries: dict[int, float], limit: float) -> None:
        line = np.zeros(size)
        for column, value in entries.items():
            line[column] += value
        matrix.append(line)
        most.append(limit)

    for index, (producer, readers, _, may_cross) in enumerate(problem.tensors):
        made = {} if producer < 0 else {producer: 1.0}
        sent = {int(first[index]) + form: -1.0 for form in range(forms[index])} if may_cross else {}
        for reader in readers:
            at_most({**made, reader: -1.0, **sent}, -1.0 if producer < 0 else 0.0)
            if producer >= 0:
                at_most({reader: 1.0, producer: -1.0}, 0.0)
    for op in range(ops):
        at_most({op: -1.0, size - 1: -1.0}, -1.0)

    def line_of(row: PlainRow) -> tuple[np.ndarray, int]:
        changes = [here - there for here, there in zip(row.on_device, row.on_server, strict=True)]
        crossing = [entry for each in row.crossing for entry in each]
        return np.array([*changes, *crossing, row.once], dtype=float), sum(row.on_server)

    for row, limit in bounds:
        line, constant = line_of(row)
        matrix.append(line)
        most.append(limit - constant)
    objective, constant = line_of(cost)
    pins = np.array(problem.pinned)
    low, high = np.zeros(size), np.ones(size)
    low[:ops], high[:ops] = pins == 1, pins != 2
    found = milp(
        objective,
        integrality=np.ones(size),
        bounds=Bounds(low, high),
        constraints=LinearConstraint(np.array(matrix), -np.inf, np.array(most)) if matrix else None,
        options={"mip_rel_gap": gap},
    )
    if found.status == 2:
        return None
    assert found.status == 0, found.message
    return float(found.fun) + constant


def _fits(tensor: tuple[int, list[int], int, bool], side: Sequence[bool]) -> bool:
    producer, readers, _, may_cross = tensor
    made = producer < 0 or side[producer]
    if not made:
        return not any(side[reader] for reader in readers)
    return may_cross or all(side[reader] for reader in readers)
