"""Every placement that a pipeline is fastest with somewhere in a box of conditions: the front of its stages' amounts.

In a stream of inferences device, uplink, server and downlink work at the same time on different ones, and an answer comes out
every max(w_i * amount_i) over the four stages i, where w are the prices of a unit of device ns, server ns, bytes up and bytes
down. Round trips delay all answers alike and keep nobody busy. This interval is no sum, so no minimum cut finds the placement
with the shortest one, which is NP-hard in general (Hu, Bao, Wang, Liu, INFOCOM 2019). But which placements can ever have it
hardly depends on the conditions.

Let each price w_i lie in a range low_i .. high_i of its own, all above 0, and let a placement P use the amounts P_i. Clip them:

    P'_i = max(P_i, max over j != i of low_j * P_j / high_i).

Theorem. Q's interval is at most P's at all prices of the box iff Q_i <= P'_i for all i, which is iff Q'_i <= P'_i for all i.
So the placements whose clipped amounts are minimal, one of each equal vector, have the shortest interval everywhere in the
box. And each of them is better than all others somewhere in it, so none can be left out.

Proof. If Q_i <= P'_i for all i, then w_i Q_i <= max(w_i P_i, max_j low_j P_j) <= max_j w_j P_j. Else Q_i > P'_i for some i.
Let M = max_j low_j P_j, and let w_j be the number of low_j .. high_j that is next to M / P_j (high_j if P_j = 0). As low_j P_j
<= M, w_j P_j <= M for every j: P's interval is at most M. Where w_i P_i = M, Q's is at least w_i Q_i > w_i P_i = M. Else w_i =
high_i and high_i P_i < M, so M = low_j P_j for another j, and w_i Q_i > high_i P'_i >= M. As these w depend on P alone, every
placement that is not at most P' is worse there. At last, Q <= P' gives Q' <= P': low_j Q_j / high_i <= low_j P'_j / high_i, and
P'_j is P_j, which P'_i allows for, or some low_k P_k / high_j, for which this is at most low_k P_k / high_i. QED

At one price for device and server (slowdowns as profiled) both clipped times are max(device, server): the front is one of
two amounts, time and bytes, and at any bandwidth the best placement stands where their lines cross.

The search. A placement is of one section (`mincut.sections`): ops before it are on the device, those after it on the server.
Within a section ops are decided in their order, and a tensor's codec once some reader is known to be on the server. Amounts
only grow on the way. So a partial placement can be dropped (a) if another one with the same future has no larger amounts, and
(b) if a known placement covers what it has so far, all other sections counted. Neither loses a minimal vector. QED
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mincut.errors import InfeasibleError, TooManyError
from mincut.lower_envelope import PriceBox, Range
from mincut.network import smallest_device_side
from mincut.oracle import Candidate
from mincut.problem import ON_DEVICE, ON_SERVER, BoolArray, IntArray, Problem
from mincut.sections import find_joints

DEVICE, SERVER, UP, DOWN = range(4)
MOST_PARTIAL = 3_000_000
"""Partial placements that are looked at in a section, before a search is given up."""


@dataclass(frozen=True)
class StageBox:
    """Ranges of the prices of a device ns, a server ns, a byte up and a byte down, each with 0 < low <= high."""

    ranges: tuple[Range, Range, Range, Range]

    @classmethod
    def of(cls, box: PriceBox) -> StageBox:
        """The smallest one around a box of `mincut.lower_envelope`."""
        (low, high), (low_ratio, high_ratio) = box.upload, box.download_per_upload
        return cls((box.device, box.server, box.upload, (low * low_ratio, high * high_ratio)))

    @classmethod
    def at(cls, prices: Sequence[float]) -> StageBox:
        """That of one price each."""
        device, server, up, down = ((Fraction(price), Fraction(price)) for price in prices)
        return cls((device, server, up, down))

    def clipped(self, amounts: IntArray) -> IntArray:
        """int64[k, 4] amounts as int64[k, 4] clipped ones, rounded down, which loses nothing beside whole amounts."""
        columns = []
        for i, (_, high) in enumerate(self.ranges):
            column = amounts[:, i]
            for j, (low, _) in enumerate(self.ranges):
                if i != j:
                    column = np.maximum(column, _share(amounts[:, j], low / high))
            columns.append(column)
        return np.stack(columns, axis=1)


def _share(amounts: IntArray, ratio: Fraction) -> IntArray:
    """Amounts times a ratio, rounded down, or a little more than that where floats are too coarse."""
    if ratio == 1:
        return amounts
    product = np.floor(amounts * (float(ratio) * (1 - 2**-50)))
    return np.asarray(np.minimum(product, 2.0**62), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class StageFront:
    """One placement for each minimal vector, by rising device time.

    placements: bool[n] device sides. codecs: int64[m] each, None where tensors have none. amounts: int64[k, 4].
    partial: partial placements that were looked at.
    """

    placements: tuple[BoolArray, ...]
    codecs: tuple[IntArray | None, ...]
    amounts: IntArray
    partial: int


def stage_front(
    problem: Problem,
    box: StageBox,
    *,
    alternatives: Sequence[Problem] = (),
    known: Sequence[Candidate] = (),
    most_partial: int = MOST_PARTIAL,
    progress: Callable[[int, int], None] | None = None,
) -> StageFront:
    """Compute the front.

    Args:
        alternatives: problems like this one that forbid some codecs, if a placement is allowed when one of them allows it.
        known: allowed placements; good ones save time.
        progress: called with (sections done, sections in all).

    Raises:
        InfeasibleError: no placement is allowed.
        TooManyError: a section has more partial placements that nothing rules out than `most_partial`.
    """
    parts = alternatives or [problem]
    smallest_device_side(problem)
    kept = _Kept(problem, box)
    kept.add([_Found(each.on_device, each.codec) for each in known])
    sections = [(part, *section) for part in parts for section in pairwise(find_joints(part).tolist())]
    # Small sections first: what they leave rules out most of the large ones.
    sections.sort(key=lambda section: section[2] - section[1])
    for done, (part, begin, end) in enumerate(sections):
        kept.add(_Section(part, begin, end, kept, most_partial).found())
        if progress is not None:
            progress(done + 1, len(sections))
    if not len(kept.found):
        raise InfeasibleError("no placement is allowed")
    return StageFront(
        tuple(each.on_device for each in kept.found),
        tuple(each.codec for each in kept.found),
        kept.amounts,
        kept.partial,
    )


class _Found(NamedTuple):
    on_device: BoolArray
    codec: IntArray | None


class _Kept:
    """The minimal placements so far. amounts, clipped: int64[k, 4]. partial: partial placements looked at."""

    def __init__(self, problem: Problem, box: StageBox) -> None:
        self.problem, self.box = problem, box
        self.found: list[_Found] = []
        self.amounts = self.clipped = np.empty((0, 4), dtype=np.int64)
        self.partial = 0

    def add(self, found: Sequence[_Found]) -> None:
        """Take in allowed placements, and leave out what is not minimal any more."""
        if not found:
            return
        features = [self.problem.features(each.on_device, each.codec)[:4] for each in found]
        new = np.array([[device, server, up, down] for device, server, up, down in features], dtype=np.int64)
        fresh = self.uncovered(new)
        amounts = np.concatenate((self.amounts, new[fresh]))
        everything = [*self.found, *(found[index] for index in np.flatnonzero(fresh).tolist())]
        clipped = self.box.clipped(amounts)
        left = minimal(clipped)
        order = left[np.argsort(amounts[left, DEVICE], kind="stable")]
        self.amounts, self.clipped = amounts[order], clipped[order]
        self.found = [everything[index] for index in order.tolist()]

    def uncovered(self, amounts: IntArray) -> BoolArray:
        """bool[k]: which amounts no kept placement covers."""
        from mincut.kernels.dominance import beyond

        keep = np.empty(len(amounts), dtype=np.bool_)
        beyond(self.box.clipped(amounts), self.clipped, keep)
        return keep


def minimal(points: IntArray) -> IntArray:
    """Positions of the rows of int64[k, d] that no other row is at most equal to in every column; of equal ones the first."""
    from mincut.kernels.dominance import minimal as run

    order = np.lexsort(points.T[::-1])
    keep = np.empty(len(points), dtype=np.bool_)
    run(np.ascontiguousarray(points[order]), keep)
    return np.sort(order[keep])


class _Tree:
    """How partial placements came about. Each step has the step before it and one decision: the number of an op that is on the
    device, or the number of ops and then the place of a form among all forms."""

    def __init__(self) -> None:
        self._before: list[IntArray] = []
        self._decided: list[IntArray] = []
        self._size = 0

    def grown(self, before: IntArray, decision: int) -> IntArray:
        """int64[k]: new steps with one decision, after each of these; -1 stands before the first."""
        self._before.append(before)
        self._decided.append(np.full(len(before), decision, dtype=np.int64))
        self._size += len(before)
        return np.arange(self._size - len(before), self._size)

    def decisions(self, steps: IntArray) -> list[list[int]]:
        """All that was decided on the way to each of these."""
        before, decided = (np.concatenate(each).tolist() if each else [] for each in (self._before, self._decided))
        ways = []
        for step in steps.tolist():
            way, at = [], step
            while at >= 0:
                way.append(decided[at])
                at = before[at]
            ways.append(way)
        return ways


class _Labels(NamedTuple):
    """Partial placements with one future: int64[k, 4] amounts, int64[k] last steps."""

    amounts: IntArray
    step: IntArray


class _Section:
    """The search in one section of a problem; see the module.

    The state of a partial placement is a set of bits, one for each op that is on the device and one for each tensor that is
    known to cross, as long as some op that is not decided yet asks for it.
    """

    def __init__(self, problem: Problem, begin: int, end: int, kept: _Kept, most_partial: int) -> None:
        self.problem, self.begin, self.end, self.kept, self.most = problem, begin, end, kept, most_partial
        self.tree, self.looked_at = _Tree(), 0
        self.last_reader = problem.consumers[problem.consumer_start[1:] - 1]
        # Made before the section and read behind it, a tensor crosses for certain.
        producer = problem.producer
        self.jumping = np.flatnonzero((producer < begin) & (self.last_reader >= end)).tolist()
        self.reads: dict[int, list[int]] = {op: [] for op in range(begin, end)}
        self.makes: dict[int, list[int]] = {op: [] for op in range(begin, end)}
        self.last_inside: dict[int, int] = {}
        for tensor in np.flatnonzero((self.last_reader >= begin) & (producer < end)).tolist():
            inside = [reader for reader in problem.readers(tensor).tolist() if begin <= reader < end]
            self.last_inside[tensor] = inside[-1] if inside else -1
            for reader in inside:
                self.reads[reader].append(tensor)
            if producer[tensor] >= begin:
                self.makes[int(producer[tensor])].append(tensor)

    def found(self) -> list[_Found]:
        """The placements of this section that may be minimal."""
        problem, begin, end = self.problem, self.begin, self.end
        if (problem.pinned[:begin] == ON_SERVER).any() or (problem.pinned[end:] == ON_DEVICE).any():
            return []
        if not problem.may_cross[self.jumping].all():
            return []
        outside = problem.device_ns[:begin].sum(), problem.server_ns[end:].sum(), 0, problem.download_bytes[end:].sum()
        labels = _Labels(np.array([outside], dtype=np.int64), np.array([-1]))
        for tensor in self.jumping:
            labels = self._crossed(labels, tensor)
        states = {0: labels}
        for op in range(begin, end):
            states = self._decided(states, op)
        labels = self._together(list(states.values()))
        return [self._placement(decisions) for decisions in self.tree.decisions(labels.step)]

    def _decided(self, states: dict[int, _Labels], op: int) -> dict[int, _Labels]:
        """All partial placements with this op on either side."""
        gathered: dict[int, list[_Labels]] = {}
        remembered = ~self._forgotten(op)
        for state, labels in states.items():
            for place in (self._on_server, self._on_device):
                placed = place(state, labels, op)
                if placed is not None:
                    gathered.setdefault(placed[0] & remembered, []).append(placed[1])
        found = {state: self._together(each) for state, each in gathered.items()}
        count = sum(len(each.step) for each in found.values())
        self.kept.partial += count
        self.looked_at += count
        if self.looked_at > self.most:
            raise TooManyError(
                f"ops {self.begin} to {self.end - 1} have more than {self.most} partial placements that nothing rules out"
            )
        return {state: each for state, each in found.items() if len(each.step)}

    def _on_server(self, state: int, labels: _Labels, op: int) -> tuple[int, _Labels] | None:
        """Partial placements with an op on the server, and their state; None if it may not be there."""
        problem = self.problem
        if problem.pinned[op] == ON_DEVICE:
            return None
        more = 0, problem.server_ns[op], 0, problem.download_bytes[op]
        labels = _Labels(labels.amounts + np.array(more, dtype=np.int64), labels.step)
        for tensor in self.reads[op]:
            if not self._on_device_only(state, tensor):
                continue
            if not problem.may_cross[tensor]:
                return None
            labels = self._crossed(labels, tensor)
            state |= self._sent_bit(tensor)
        return state, labels

    def _on_device(self, state: int, labels: _Labels, op: int) -> tuple[int, _Labels] | None:
        """Likewise with the op on the device, which needs there all that it reads."""
        problem = self.problem
        if problem.pinned[op] == ON_SERVER:
            return None
        if not all(self._made_on_device(state, tensor) for tensor in self.reads[op]):
            return None
        more = problem.device_ns[op], 0, 0, 0
        labels = _Labels(labels.amounts + np.array(more, dtype=np.int64), self.tree.grown(labels.step, op))
        for tensor in self.makes[op]:
            if self.last_reader[tensor] < self.end:
                continue
            if not problem.may_cross[tensor]:
                return None
            labels = self._crossed(labels, tensor)
            state |= self._sent_bit(tensor)
        return state | self._bit(op), labels

    def _crossed(self, labels: _Labels, tensor: int) -> _Labels:
        """Partial placements with a tensor crossing, under each form that is not worse than another one in all it takes."""
        forms = self.problem.forms
        first, end = forms.start[tensor], forms.start[tensor + 1]
        columns = forms.device_ns, forms.server_ns, forms.wire_bytes, np.zeros_like(forms.wire_bytes)
        costs = np.stack([column[first:end] for column in columns], axis=1)
        grown = []
        for form in minimal(costs).tolist():
            step = self.tree.grown(labels.step, self.problem.op_count + int(first) + form) if form else labels.step
            grown.append(_Labels(labels.amounts + costs[form], step))
        return self._together(grown)

    def _together(self, labels: Sequence[_Labels]) -> _Labels:
        """Those of partial placements with one state that nothing rules out."""
        if not labels:
            return _Labels(np.empty((0, 4), dtype=np.int64), np.empty(0, dtype=np.int64))
        amounts, step = np.concatenate([each.amounts for each in labels]), np.concatenate([each.step for each in labels])
        fresh = self.kept.uncovered(amounts)
        amounts, step = amounts[fresh], step[fresh]
        left = minimal(amounts)
        return _Labels(amounts[left], step[left])

    def _placement(self, decisions: Sequence[int]) -> _Found:
        ops, forms = self.problem.op_count, self.problem.forms
        on_device = np.zeros(ops, dtype=np.bool_)
        on_device[: self.begin] = True
        on_device[[decision for decision in decisions if decision < ops]] = True
        if self.problem.codecs is None:
            return _Found(on_device, None)
        codec = np.zeros(self.problem.tensor_count, dtype=np.int64)
        places = np.array([decision - ops for decision in decisions if decision >= ops], dtype=np.int64)
        tensors = np.searchsorted(forms.start, places, side="right") - 1
        codec[tensors] = places - forms.start[tensors]
        return _Found(on_device, codec)

    def _bit(self, op: int) -> int:
        return 1 << (op - self.begin)

    def _sent_bit(self, tensor: int) -> int:
        return 1 << (self.end - self.begin + tensor)

    def _made_on_device(self, state: int, tensor: int) -> bool:
        producer = int(self.problem.producer[tensor])
        return producer < self.begin or bool(state & self._bit(producer))

    def _on_device_only(self, state: int, tensor: int) -> bool:
        """Is it made on the device, and not known to cross?"""
        producer = int(self.problem.producer[tensor])
        if producer < self.begin:
            return self.last_reader[tensor] < self.end and not state & self._sent_bit(tensor)
        return bool(state & self._bit(producer)) and not state & self._sent_bit(tensor)

    def _forgotten(self, op: int) -> int:
        """The bits that no op after this one asks for."""
        bits = 0
        for tensor in {*self.reads[op], *self.makes[op]}:
            if self.last_inside[tensor] <= op:
                bits |= self._sent_bit(tensor)
        makers = {int(self.problem.producer[tensor]) for tensor in self.reads[op]} | {op}
        for maker in makers:
            if maker >= self.begin and all(self.last_inside[tensor] <= op for tensor in self.makes[maker]):
                bits |= self._bit(maker)
        return bits
