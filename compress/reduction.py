"""A smaller problem and the way back.

Every rule answers with a label per op: ops with one label are on one side in some optimal placement, whatever the prices.
`contract` turns labels into a `Reduction`; it is the only code that builds a smaller problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.errors import NotExactError
from mincut.problem import FREE, MODEL_INPUT, BoolArray, IntArray, Problem


@dataclass(frozen=True, eq=False)
class Reduction:
    """`problem` is the small one; op v of the original is part of its op `member_of[v]`.

    member_of: int64[n] with values 0..problem.op_count-1, every value used.
    """

    problem: Problem
    member_of: IntArray

    def lift(self, on_device: BoolArray) -> BoolArray:
        """A placement of the small problem as one of the original: bool[small] → bool[n]. Costs the same."""
        lifted: BoolArray = on_device[self.member_of]
        return lifted

    def then(self, later: Reduction) -> Reduction:
        """This reduction followed by one of its `problem`."""
        return Reduction(later.problem, later.member_of[self.member_of])


def identity(problem: Problem) -> Reduction:
    """The reduction that changes nothing."""
    return Reduction(problem, np.arange(problem.op_count, dtype=np.int64))


def contract(problem: Problem, label: IntArray) -> Reduction:
    """Merge all ops with equal labels.

    Costs add up, tensors inside a group vanish, readers in one group become one reader, and tensors with the same
    producer and the same readers become one (they always cross together). Merging into groups never changes the cost of a
    placement that keeps every group together, so a contraction is exact iff some optimal placement does.

    Args:
        label: int64[n]; equal means together.

    Raises:
        NotExactError: the groups depend on each other in a circle, or a group is pinned to both sides.
    """
    _, dense = np.unique(label, return_inverse=True)
    member_of = _topological(problem, dense.astype(np.int64))
    groups = int(member_of.max()) + 1 if problem.op_count else 0
    pinned = np.full(groups, FREE, dtype=np.int8)
    for op in np.flatnonzero(problem.pinned != FREE):
        group = member_of[op]
        if pinned[group] not in (FREE, problem.pinned[op]):
            raise NotExactError(f"Bug: a group with op {op} is pinned to the device and to the server")
        pinned[group] = problem.pinned[op]
    producer, readers, wire_bytes, may_cross = _merged_tensors(problem, member_of)
    return Reduction(
        Problem(
            device_ns=_grouped(problem.device_ns, member_of, groups),
            server_ns=_grouped(problem.server_ns, member_of, groups),
            download_bytes=_grouped(problem.download_bytes, member_of, groups),
            pinned=pinned,
            producer=np.asarray(producer, dtype=np.int64),
            consumer_start=np.cumsum([0] + [len(group) for group in readers], dtype=np.int64),
            consumers=np.asarray([op for group in readers for op in group], dtype=np.int64),
            wire_bytes=np.asarray(wire_bytes, dtype=np.int64),
            may_cross=np.asarray(may_cross, dtype=np.bool_),
        ),
        member_of,
    )


def _grouped(amounts: IntArray, member_of: IntArray, groups: int) -> IntArray:
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, member_of, amounts)
    return total


def _merged_tensors(problem: Problem, member_of: IntArray) -> tuple[list[int], list[tuple[int, ...]], list[int], list[bool]]:
    merged: dict[tuple[int, tuple[int, ...]], tuple[int, bool]] = {}
    for tensor in range(problem.tensor_count):
        made_by = int(problem.producer[tensor])
        producer = MODEL_INPUT if made_by == MODEL_INPUT else int(member_of[made_by])
        readers = tuple(sorted({int(member_of[op]) for op in problem.readers(tensor)} - {producer}))
        if readers:
            total, free = merged.get((producer, readers), (0, True))
            merged[producer, readers] = (
                total + int(problem.wire_bytes[tensor]),
                free and bool(problem.may_cross[tensor]),
            )
    return (
        [producer for producer, _ in merged],
        [readers for _, readers in merged],
        [total for total, _ in merged.values()],
        [free for _, free in merged.values()],
    )


def _topological(problem: Problem, group_of: IntArray) -> IntArray:
    """Renumber groups so that every group follows the groups it reads from (Kahn 1962, lowest first member first)."""
    groups = int(group_of.max()) + 1 if len(group_of) else 0
    first_member = np.full(groups, len(group_of), dtype=np.int64)
    np.minimum.at(first_member, group_of, np.arange(len(group_of)))
    followers: list[set[int]] = [set() for _ in range(groups)]
    for tensor in range(problem.tensor_count):
        if problem.producer[tensor] != MODEL_INPUT:
            producer = int(group_of[problem.producer[tensor]])
            followers[producer].update(int(group_of[op]) for op in problem.readers(tensor) if group_of[op] != producer)
    waiting = np.zeros(groups, dtype=np.int64)
    for following in followers:
        for group in following:
            waiting[group] += 1
    return _kahn(followers, waiting, first_member)[group_of]


def _kahn(followers: list[set[int]], waiting: IntArray, first_member: IntArray) -> IntArray:
    from heapq import heapify, heappop, heappush

    ready = [(int(first_member[group]), group) for group in np.flatnonzero(waiting == 0).tolist()]
    heapify(ready)
    number = np.full(len(followers), -1, dtype=np.int64)
    done = 0
    while ready:
        _, group = heappop(ready)
        number[group] = done
        done += 1
        for following in followers[group]:
            waiting[following] -= 1
            if waiting[following] == 0:
                heappush(ready, (int(first_member[following]), following))
    if done < len(followers):
        raise NotExactError(f"Bug: {len(followers) - done} merged groups depend on each other in a circle")
    return number
