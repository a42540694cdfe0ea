"""A smaller problem and the way back.

Every rule answers with a label per op: ops with one label are on one side in some optimal placement, whatever the prices.
`contract` turns labels into a `Reduction`; it is the only code that builds a smaller problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.errors import NotExactError
from mincut.codecs import Codecs
from mincut.problem import FREE, MODEL_INPUT, BoolArray, IntArray, Problem

NO_CHOICE = -1


@dataclass(frozen=True, eq=False)
class Reduction:
    """`problem` is the small one; op v of the original is part of its op `member_of[v]`.

    member_of: int64[n] with values 0..problem.op_count-1, every value used.
    form_of: int64[m]; tensor e of the original crosses in the form, by number, in which tensor `form_of[e]` of the small
        problem does; NO_CHOICE where it has one form only or never crosses.
    """

    problem: Problem
    member_of: IntArray
    form_of: IntArray

    def lift(self, on_device: BoolArray) -> BoolArray:
        """A placement of the small problem as one of the original: bool[small] → bool[n]. Costs the same."""
        lifted: BoolArray = on_device[self.member_of]
        return lifted

    def lift_codecs(self, codec: IntArray | None) -> IntArray | None:
        """The forms of the small problem's tensors as those of the original's: int64[small] → int64[m]; None stays None.

        A placement lifted by `lift` costs the same in these forms.
        """
        if codec is None:
            return None
        lifted = np.zeros(len(self.form_of), dtype=np.int64)
        choosing = self.form_of != NO_CHOICE
        lifted[choosing] = codec[self.form_of[choosing]]
        return lifted


def contract(problem: Problem, label: IntArray) -> Reduction:
    """Merge all ops with equal labels.

    Costs add up, tensors inside a group vanish, readers in one group become one reader, and tensors with the same
    producer and the same readers become one (they always cross together) where at most one of them has several forms: its
    forms each with what the others send, numbered as before. Two with several forms would be one with their products; they
    stay apart, which costs no more. Merging into groups never changes the cost of a placement that keeps every group
    together, in whichever forms, so a contraction is exact iff some optimal placement does.

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
            raise NotExactError(f"a group with op {op} is pinned to the device and to the server")
        pinned[group] = problem.pinned[op]
    tensors = _merged_tensors(problem, member_of)
    forms = None if problem.codecs is None else _merged_forms(problem.codecs, tensors)
    return Reduction(
        Problem(
            device_ns=_grouped(problem.device_ns, member_of, groups),
            server_ns=_grouped(problem.server_ns, member_of, groups),
            download_bytes=_grouped(problem.download_bytes, member_of, groups),
            pinned=pinned,
            producer=tensors.producer,
            consumer_start=tensors.consumer_start,
            consumers=tensors.consumers,
            wire_bytes=tensors.together(problem.wire_bytes),
            may_cross=tensors.together(~problem.may_cross) == 0,
            codecs=forms,
        ),
        member_of,
        np.where(problem.forms.counts > 1, tensors.part_of, NO_CHOICE),
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


@dataclass(frozen=True, eq=False)
class _Tensors:
    """The tensors between groups.

    producer, consumer_start, consumers: as in a `Problem`.
    part_of: int64[m]; which of them each original tensor is part of, -1 for those that vanish.
    """

    producer: IntArray
    consumer_start: IntArray
    consumers: IntArray
    part_of: IntArray

    def together(self, amounts: IntArray | BoolArray) -> IntArray:
        """The sum of an amount of the original tensors over those that each of these is made of."""
        total = np.zeros(len(self.producer), dtype=np.int64)
        left = self.part_of >= 0
        np.add.at(total, self.part_of[left], amounts[left])
        return total


def _merged_tensors(problem: Problem, member_of: IntArray) -> _Tensors:
    """What is left of the tensors."""
    tensor, producer_of_wire, reader = _wires_between(problem, member_of)
    left, first_wire, counts = np.unique(tensor, return_index=True, return_counts=True)
    producer = producer_of_wire[first_wire]
    several = problem.forms.counts[left] > 1
    stands_for = _first_alike(producer, np.append(first_wire, len(reader)), reader, several)
    kept = stands_for == np.arange(len(left))
    consumer_start = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[kept])))
    part_of = np.full(problem.tensor_count, -1, dtype=np.int64)
    part_of[left] = (np.cumsum(kept) - 1)[stands_for]
    return _Tensors(producer[kept], consumer_start, reader[np.repeat(kept, counts)], part_of)


def _merged_forms(forms: Codecs, tensors: _Tensors) -> Codecs:
    """Each merged tensor's forms: those of its part that has several, or of any, with what its other parts send."""
    counts, left = forms.counts, np.flatnonzero(tensors.part_of >= 0)
    owner = np.full(len(tensors.producer), -1, dtype=np.int64)
    for parts in (left, left[counts[left] > 1]):
        owner[tensors.part_of[parts]] = parts
    start = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[owner])))
    merged = np.repeat(np.arange(len(owner)), counts[owner])
    place = forms.start[owner][merged] + np.arange(len(merged)) - start[merged]
    owns = np.zeros(len(counts), dtype=np.bool_)
    owns[owner] = True

    def amounts(of_forms: IntArray) -> IntArray:
        others = tensors.together(np.where(owns, 0, of_forms[forms.start[:-1]]))
        together: IntArray = of_forms[place] + others[merged]
        return together

    return Codecs(start, amounts(forms.wire_bytes), amounts(forms.device_ns), amounts(forms.server_ns))


def _first_alike(producer: IntArray, start: IntArray, reader: IntArray, several: BoolArray) -> IntArray:
    """For each tensor e, read by reader[start[e]:start[e + 1]], the first one with the same producer and the same readers.

    Of tensors with several forms, no two stand for each other: but for the first, each stands for itself.
    """
    stands_for = np.arange(len(producer))
    first: dict[tuple[int, ...], int] = {}
    choosing: set[int] = set()
    # Only producers of several tensors need a look at the readers: few, in a network.
    for tensor in np.flatnonzero(np.bincount(producer + 1)[producer + 1] > 1).tolist():
        alike = first.setdefault((int(producer[tensor]), *reader[start[tensor] : start[tensor + 1]].tolist()), tensor)
        if several[tensor] and alike in choosing:
            continue
        stands_for[tensor] = alike
        if several[tensor]:
            choosing.add(alike)
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
        raise NotExactError(f"{len(followers) - done} merged groups depend on each other in a circle")
    return number
