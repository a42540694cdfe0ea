"""What a bounded search leaves behind: the placement, and a tree whose leaves each prove that nothing there is better.

The leaves part all allowed placements among them. A `Branch` on an op has those with the op on the device in its first child
and those with it on the server in its second. A `Branch` on a form of a tensor has those in which that form is not used in its
first child, and those in which no other form of the tensor is used in its second: whatever a placement does, it is in one.

A `Leaf` weighs the cost by weights[0] and each bounded row by one more weight. Let V be what a flow proves that the weighed sum
has at least, times the divisor. Every placement S of the leaf that keeps within its bounds b_i has

    weights[0] * cost(S)  >=  V - sum of weights[i] * row_i(S)  >=  V - sum of weights[i] * b_i,

weak duality twice: of the flow, and of the multipliers weights[i] / weights[0] (Everett, Operations Research 11, 1963;
Geoffrion, Mathematical Programming Study 2, 1974). With weights[0] = 0 and the right side positive there is no such S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mincut.problem import ON_DEVICE, ON_SERVER, BoolArray, IntArray, Problem
from mincut.rows import Row, amount, combined

Pins = npt.NDArray[np.int8]
Bound = tuple[Row, int]
"""A row and the most that a placement may have of it; below zero nothing is allowed."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """weights: integers, of the cost and of each bounded row. divisor, limit: as in `relaxed_row`.

    value: what the flow is worth. arc_flow: int64[A], terminal_flow: int64[N]; as those of a `Placement`.
    """

    weights: tuple[int, ...]
    divisor: int
    limit: int
    value: int
    arc_flow: IntArray
    terminal_flow: IntArray

    def proves(self, bounds: Sequence[Bound]) -> int | None:
        """The least cost that a placement of this leaf can have; None: there is none."""
        rest = self.value * self.divisor - sum(
            weight * most for weight, (_, most) in zip(self.weights[1:], bounds, strict=True)
        )
        if self.weights[0]:
            return max(-(-rest // self.weights[0]), 0)
        return None if rest > 0 else 0


@dataclass(frozen=True, slots=True)
class Branch:
    """op: a number, or None where it is on a form. form: its place in `problem.forms`, or None. children: numbers of nodes."""

    op: int | None
    form: int | None
    children: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Bounded:
    """The cheapest placement within bounds, and the evidence.

    on_device: bool[n]. codec: int64[m], which of its forms each tensor crosses in; None where tensors have no codecs.
    cost: of this placement. at_least: no allowed placement costs less than this; equal to `cost` where the search was finished
        and costs are not too large for int64, see `mincut.bounded`.
    tree: its first node is the root.
    cuts: minimum cuts computed.
    """

    on_device: BoolArray
    codec: IntArray | None
    cost: int
    at_least: int
    tree: tuple[Leaf | Branch, ...]
    cuts: int

    @property
    def gap(self) -> float:
        """By how much `cost` may be above the optimum, relative to the optimum."""
        if self.cost == self.at_least:
            return 0.0
        return self.cost / self.at_least - 1 if self.at_least else float("inf")


def relaxed_row(cost: Row, bounds: Sequence[Bound], weights: Sequence[int], divisor: int, limit: int) -> Row:
    """The weighed sum, divided and rounded down, cut off at `limit`."""
    return combined("relaxation", [cost, *(row for row, _ in bounds)], weights, divisor=divisor, most=limit)


def restricted(row: Row, allowed: BoolArray, limit: int) -> Row:
    """The same where only some forms are allowed, bool[F]: others cost `limit`."""
    return replace(row, crossing=np.where(allowed, row.crossing, limit))


def useful_forms(problem: Problem, cost: Row, bounds: Sequence[Bound]) -> BoolArray:
    """Forms that a placement may need, bool[F]: not those that add no less to every row than another form of their tensor.

    In place of such a form a placement may use the other one, at no higher cost and within all bounds. Of forms that add the
    same to every row the first is kept, so that each tensor keeps one and each form that goes has one that stays.
    """
    forms, rows = problem.forms, np.stack([cost.crossing, *(row.crossing for row, _ in bounds)])
    useful = np.ones(rows.shape[1], dtype=np.bool_)
    for first in forms.start[:-1][forms.counts > 1].tolist():
        own = rows[:, first : forms.start[np.searchsorted(forms.start, first, side="right")]]
        # no_more[a, b]: form a adds no more than form b to any row.
        no_more = (own[:, :, None] <= own[:, None, :]).all(axis=0)
        earlier = np.arange(own.shape[1])[:, None] < np.arange(own.shape[1])
        useful[first : first + own.shape[1]] = ~(no_more & (~no_more.T | earlier)).any(axis=0)
    return useful


def parted(
    problem: Problem, pinned: Pins, allowed: BoolArray, op: int | None, form: int | None
) -> tuple[tuple[Pins, BoolArray], tuple[Pins, BoolArray]]:
    """The two children of a branch: int8[n] pins and bool[F] allowed forms of each, from those of the parent."""
    if op is not None:
        on_device, on_server = pinned.copy(), pinned.copy()
        on_device[op], on_server[op] = ON_DEVICE, ON_SERVER
        return (on_device, allowed), (on_server, allowed)
    assert form is not None
    start = problem.forms.start
    tensor = int(np.searchsorted(start, form, side="right")) - 1
    unused, alone = allowed.copy(), allowed.copy()
    unused[form] = False
    alone[start[tensor] : start[tensor + 1]] = False
    alone[form] = allowed[form]
    return (pinned, unused), (pinned, alone)


def in_words(bounds: Sequence[Bound]) -> str:
    """Each row and its bound."""
    return ", ".join(f"{row.name} at most {most}" for row, most in bounds)


def keeps(problem: Problem, bounds: Sequence[Bound], on_device: BoolArray, codec: IntArray | None) -> bool:
    """Is a placement within all bounds?"""
    return all(amount(problem, row, on_device, codec) <= most for row, most in bounds)
