"""What a move changes on the wire, whichever of their forms tensors cross in.

A move makes some tensors start to cross and others stop. Each crosses in the form that is cheapest at the prices.

Lemma. Let it be that for every choice of one form for each tensor that stops, there is a choice of one form for each tensor
that starts, with which the move is free (the sum of what changes, linear in the prices, is at most 0) for all prices in the
bounds. Then the move is free for all prices in the bounds.

Proof. Take any prices in the bounds, and for each tensor that stops the form that is cheapest there. With the choice that
belongs to these, the move is free. Tensors that stop did cross in just these forms, and tensors that start cost at most what
they cost in the chosen ones. QED

The condition needs no prices but the corners of the bounds, since for given choices all is linear. Tensors that have only
one form leave one choice, and the condition is then needed as well. Where there are more than `MOST_CHOICES` pairs of
choices, the answer is no: nothing is lost but a merge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from compress.bounds import Sent
from compress.wiring import Pairs
from mincut.codecs import Codecs
from mincut.problem import BoolArray, IntArray, Problem

MOST_CHOICES = 256

Free = Callable[[IntArray, Sent], BoolArray]
"""Ops int64[k], and how much more crosses in the move of each; is the move free? bool[k]."""
Amounts = tuple[int, int, int]


def free_moves(problem: Problem, candidates: BoolArray, starting: Pairs, stopping: Pairs, free: Free) -> BoolArray:
    """Which of the candidates may move for free, by the lemma; bool[n].

    Args:
        candidates: bool[n]. starting, stopping: for each of these ops the tensors that start to cross if it moves, and those
            that stop.
    """
    forms, moves = problem.forms, candidates.copy()
    counts = forms.counts
    several = np.zeros(problem.op_count, dtype=np.bool_)
    for op, tensor in (starting, stopping):
        several[op[counts[tensor] > 1]] = True
    more = _first_forms(problem, forms, starting).minus(_first_forms(problem, forms, stopping))
    plain = np.flatnonzero(candidates & ~several)
    moves[plain] = free(plain, Sent(*(amounts[plain] for amounts in more)))
    choosing = np.flatnonzero(candidates & several)
    if len(choosing):
        moves[choosing] = _whichever_form(forms, choosing, starting, stopping, free)
    return moves


def _first_forms(problem: Problem, forms: Codecs, pairs: Pairs) -> Sent:
    """What the tensors of each op send in their first forms, together."""
    op, tensor = pairs
    sums = []
    for amounts in (forms.wire_bytes, forms.device_ns, forms.server_ns):
        total = np.zeros(problem.op_count, dtype=np.int64)
        if amounts.any():
            np.add.at(total, op, amounts[forms.start[tensor]])
        sums.append(total)
    return Sent(*sums)


def _whichever_form(forms: Codecs, ops: IntArray, starting: Pairs, stopping: Pairs, free: Free) -> BoolArray:
    """The condition of the lemma for each of these ops; bool[k]."""
    starts, stops = _tensors_of(ops, starting), _tensors_of(ops, stopping)
    rows: list[Amounts] = []
    shapes: list[tuple[int, int]] = []
    for op in ops.tolist():
        shape = _choice_count(forms, stops.get(op, ())), _choice_count(forms, starts.get(op, ()))
        if shape[0] * shape[1] > MOST_CHOICES:
            shape = 0, 0
        else:
            chosen = [_choices(forms, each.get(op, ())) for each in (stops, starts)]
            rows += [_difference(more, less) for less, more in product(*chosen)]
        shapes.append(shape)
    sizes = [stopped * started for stopped, started in shapes]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    answers = free(np.repeat(ops, sizes), Sent(*(np.ascontiguousarray(column) for column in columns)))
    ends = np.cumsum([0, *sizes])
    return np.array(
        [size > 0 and answers[end - size : end].reshape(shape).any(axis=1).all()
         for shape, size, end in zip(shapes, sizes, ends[1:].tolist(), strict=True)],
        dtype=np.bool_,
    )  # fmt: skip


def _tensors_of(ops: IntArray, pairs: Pairs) -> dict[int, list[int]]:
    wanted = np.isin(pairs[0], ops)
    found: dict[int, list[int]] = {}
    for op, tensor in zip(pairs[0][wanted].tolist(), pairs[1][wanted].tolist(), strict=True):
        found.setdefault(op, []).append(tensor)
    return found


def _choice_count(forms: Codecs, tensors: Sequence[int]) -> int:
    count = 1
    for tensor in tensors:
        count *= int(forms.start[tensor + 1] - forms.start[tensor])
    return count


def _choices(forms: Codecs, tensors: Sequence[int]) -> list[Amounts]:
    """What the tensors send together, for each choice of a form for each."""
    options = []
    for tensor in tensors:
        own = slice(forms.start[tensor], forms.start[tensor + 1])
        columns = (forms.wire_bytes[own].tolist(), forms.device_ns[own].tolist(), forms.server_ns[own].tolist())
        options.append(list(zip(*columns, strict=True)))
    return [
        (sum(each[0] for each in choice), sum(each[1] for each in choice), sum(each[2] for each in choice))
        for choice in product(*options)
    ]


def _difference(more: Amounts, less: Amounts) -> Amounts:
    return more[0] - less[0], more[1] - less[1], more[2] - less[2]
