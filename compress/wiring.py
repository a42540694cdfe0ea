"""Who reads what: the view of a `Problem` that local rules need, in arrays, so that a rule weighs all ops at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mincut.problem import MODEL_INPUT, BoolArray, IntArray, Problem

NOBODY = -1

Pairs = tuple[IntArray, IntArray]
"""Ops and tensors: int64[k] and int64[k], each pair once."""


@dataclass(frozen=True, eq=False)
class Wiring:
    """For each op v, the op at the other end of its tensors where there is one alone, and the tensors that a move concerns.

    only_reader: int64[n]; the op that alone reads anything v makes, or NOBODY.
    only_producer: int64[n]; the op that makes all that v reads, or NOBODY (so for a model input).
    made: v with each tensor that it makes for others. made_may_cross: bool[n], may all of them?
    alone: v with each tensor that an op makes and nobody but v reads.
    own: v with each tensor that v reads and its only reader does not: these would start to cross if v moved to where its
        reader is. own_may_cross: bool[n], may all of them?
    """

    only_reader: IntArray
    only_producer: IntArray
    made: Pairs
    made_may_cross: BoolArray
    alone: Pairs
    own: Pairs
    own_may_cross: BoolArray


def wiring(problem: Problem) -> Wiring:
    """Build the view in a few passes over the readers."""
    ops = problem.op_count
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    reader, producer = problem.consumers, problem.producer[tensor]
    from_op = producer != MODEL_INPUT
    only_reader = _only(ops, producer[from_op], reader[from_op])
    only_producer = _only(ops, reader, producer)

    made = np.flatnonzero(problem.producer != MODEL_INPUT)
    made_may_cross = np.ones(ops, dtype=np.bool_)
    made_may_cross[problem.producer[made[~problem.may_cross[made]]]] = False

    alone = made[np.diff(problem.consumer_start)[made] == 1]
    beyond = only_reader[reader]
    # Pairs of a tensor and a reader ascend, so that one that might exist can be looked up.
    pairs, asked = tensor * np.int64(ops) + reader, tensor * np.int64(ops) + beyond
    place = np.minimum(np.searchsorted(pairs, asked), max(len(pairs) - 1, 0))
    own = (beyond != NOBODY) & (pairs[place] != asked)
    own_may_cross = np.ones(ops, dtype=np.bool_)
    own_may_cross[reader[own & ~problem.may_cross[tensor]]] = False
    return Wiring(
        only_reader,
        only_producer,
        (problem.producer[made], made),
        made_may_cross,
        (problem.consumers[problem.consumer_start[alone]], alone),
        (reader[own], tensor[own]),
        own_may_cross,
    )


def follow(towards: IntArray) -> IntArray:
    """Where each op ends up that follows `towards` until it meets one that stays (towards[v] == v); int64[n].

    Every step doubles the distance covered, so that a chain of n links takes log n steps.
    """
    while True:
        further = towards[towards]
        if (further == towards).all():
            return further
        towards = further


def _only(ops: int, one: IntArray, other: IntArray) -> IntArray:
    """For each op in `one`, what `other` says wherever the op stands, if that is always the same; else NOBODY."""
    lowest = np.full(ops, np.iinfo(np.int64).max, dtype=np.int64)
    highest = np.full(ops, NOBODY, dtype=np.int64)
    np.minimum.at(lowest, one, other)
    np.maximum.at(highest, one, other)
    return np.where(lowest == highest, highest, NOBODY)
