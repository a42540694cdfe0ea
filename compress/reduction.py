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
    member_of = _topological(problem, dense.astype(np.int64).reshape(-1))
    groups = int(member_of.max()) + 1 if problem.op_count else 0
    pinned = np.full(groups, FREE, dtype=np.int8)
    for op in np.flatnonzero(problem.pinned != FREE):
        group = member_of[op]
        if pinned[group] not in (FREE, problem.pinned[op]):
            raise NotExactError(f"Bug: a group with op {op} is pinned to the device and to the server")
        pinned[group] = problem.pinned[op]
    producer, consumer_start, consumers, wire_bytes, may_cross = _merged_tensors(problem, member_of)
    return Reduction(
        Problem(
            device_ns=_grouped(problem.device_ns, member_of, groups),
            server_ns=_grouped(problem.server_ns, member_of, groups),
            download_bytes=_grouped(problem.download_bytes, member_of, groups),
            pinned=pinned,
            producer=producer,
            consumer_start=consumer_start,
            consumers=consumers,
            wire_bytes=wire_bytes,
            may_cross=may_cross,
        ),
        member_of,
    )


def _grouped(amounts: IntArray, member_of: IntArray, groups: int) -> IntArray:
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, member_of, amounts)
    return total


def _wires_between(problem: Problem, group_of: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Who reads what between groups: (tensor, producing group or MODEL_INPUT, reading group), sorted, each once."""
    producer = np.where(problem.producer == MODEL_INPUT, MODEL_INPUT, group_of[problem.producer])
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    reader = group_of[problem.consumers]
    outside = reader != producer[tensor]
    size = max(problem.op_count, 1)
    # By sorting: np.unique hashes, which takes ten times as long here.
    pairs = np.sort(tensor[outside] * size + reader[outside])
    tensor, reader = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], size)
    return tensor, producer[tensor], reader


def _merged_tensors(problem: Problem, member_of: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray, BoolArray]:
    """Producer, consumer_start, consumers, wire_bytes and may_cross of what is left of the tensors."""
    tensor, producer_of_wire, reader = _wires_between(problem, member_of)
    left, first_wire, counts = np.unique(tensor, return_index=True, return_counts=True)
    producer = producer_of_wire[first_wire]
    stands_for = _first_alike(producer, np.append(first_wire, len(reader)), reader)
    wire_bytes = np.zeros(len(left), dtype=np.int64)
    np.add.at(wire_bytes, stands_for, problem.wire_bytes[left])
    may_cross = np.ones(len(left), dtype=np.bool_)
    may_cross[stands_for[~problem.may_cross[left]]] = False
    kept = stands_for == np.arange(len(left))
    consumer_start = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[kept])))
    return producer[kept], consumer_start, reader[np.repeat(kept, counts)], wire_bytes[kept], may_cross[kept]


def _first_alike(producer: IntArray, start: IntArray, reader: IntArray) -> IntArray:
    """For each tensor e, read by reader[start[e]:start[e + 1]], the first one with the same producer and the same readers."""
    stands_for = np.arange(len(producer))
    first: dict[tuple[int, ...], int] = {}
    # Only producers of several tensors need a look at the readers: few, in a network.
    for tensor in np.flatnonzero(np.bincount(producer + 1)[producer + 1] > 1).tolist():
        stands_for[tensor] = first.setdefault(
            (int(producer[tensor]), *reader[start[tensor] : start[tensor + 1]].tolist()), tensor
        )
    return stands_for


def _topological(problem: Problem, group_of: IntArray) -> IntArray:
    """Renumber groups so that every group follows the groups it reads from.

    In the order of their first members, or of their last ones, if that will do, as it mostly does; else by Kahn 1962.
    """
    groups = int(group_of.max()) + 1 if len(group_of) else 0
    _, producer, reader = _wires_between(problem, group_of)
    from_op = producer != MODEL_INPUT
    producer, reader = producer[from_op], reader[from_op]
    ops = np.arange(len(group_of))
    first_member = np.full(groups, len(group_of), dtype=np.int64)
    np.minimum.at(first_member, group_of, ops)
    last_member = np.full(groups, -1, dtype=np.int64)
    np.maximum.at(last_member, group_of, ops)
    for member in (first_member, last_member):
        if (member[producer] < member[reader]).all():
            number = np.empty(groups, dtype=np.int64)
            number[np.argsort(member)] = np.arange(groups)
            return number[group_of]
    return _kahn(producer, reader, first_member)[group_of]


def _kahn(producer: IntArray, reader: IntArray, first_member: IntArray) -> IntArray:
    """Kahn's order of groups wired from producer[i] to reader[i]; of those that may come next, the lowest first member."""
    from heapq import heapify, heappop, heappush

    followers: list[list[int]] = [[] for _ in first_member]
    for one, other in zip(producer.tolist(), reader.tolist(), strict=True):
        followers[one].append(other)
    waiting, first = np.bincount(reader, minlength=len(followers)).tolist(), first_member.tolist()
    ready = [(first[group], group) for group, count in enumerate(waiting) if count == 0]
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
                heappush(ready, (first[following], following))
    if done < len(followers):
        raise NotExactError(f"Bug: {len(followers) - done} merged groups depend on each other in a circle")
    return number
