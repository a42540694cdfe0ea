"""The limits of a splitting model as bounded rows of its problem (`mincut.rows`). Needs numpy.

Upload and weights are one row each. Weights that several ops use count once, with the op that all the others depend on; where
there is none, `cic.trace.op_weights` counts them more than once, so that a cut never needs more than is said.

Memory of activations is the largest of several moments, and no sum. A head runs its ops in the order of the graph. It holds the
model inputs from the start, each tensor from the op that makes it to the last op that reads it, the model's outputs and the
tensors that cross to the end; then all that cross, together with their payloads. Let row i be, for the moment at which op i
runs: the bytes of tensors made by then and read by op i or later, or output, plus those of crossing tensors that no op reads
any more.

Theorem. A device side S stays within M at all moments of its head if and only if every row i, for all ops, stays within M.
Proof. If op i is in S, row i is just what the head holds then: a tensor that is read by op i or later is held whether that
reader is in S or not, for then the tensor crosses. If op i is not in S, let op h be the last one in S before it (or the start,
when all inputs are held and nothing else). All that row i counts is made by h. Those tensors read by op i or later are read
after h, so row h counts them; a crossing tensor is counted by row h in any case. So row i is at most row h, which S keeps
within M. QED So memory is linear rows, exactly, for this order and these life times. A buffer that an engine takes within an op
is not counted, nor is memory that it does not give back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cic.decision.stored_graph import StoredGraph
from cic.decision.stored_limits import StoredLimits
from mincut.bound_tree import Bound
from mincut.problem import Problem
from mincut.rows import Row, feature_rows, row_of


class Held(NamedTuple):
    """A tensor as memory holds it. producer: an op, -1 for a model input. last: the last op that reads it, -1 if none does."""

    producer: int
    last: int
    bytes: int
    is_output: bool


def held_in(graph: StoredGraph) -> tuple[Held, ...]:
    """The tensors of a graph."""
    return tuple(
        Held(tensor.producer, tensor.consumers[-1] if tensor.consumers else -1, tensor.wire_bytes, tensor.is_output)
        for tensor in graph.tensors
    )


@dataclass(frozen=True, eq=False)
class LimitRows:
    """Limits and the tensors they speak of: called with a problem, it gives its bounded rows.

    The problem's tensors are those of `held` that some op reads, in order.
    """

    limits: StoredLimits
    held: tuple[Held, ...]

    def __call__(self, problem: Problem) -> list[Bound]:
        """For `mincut.lower_envelope.envelope` and `mincut.proof.prove`."""
        bounds: list[Bound] = []
        if self.limits.weights_bytes is not None:
            weights = np.array(self.limits.weights, dtype=np.int64)
            bounds.append((row_of(problem, "weights", on_device=weights), self.limits.weights_bytes))
        if self.limits.upload_bytes is not None:
            upload = feature_rows(problem)[2]
            bounds.append((row_of(problem, "upload", crossing=upload.crossing), self.limits.upload_bytes))
        if self.limits.memory_bytes is not None:
            bounds += memory_bounds(problem, self.held, self.limits.memory_bytes)
        return bounds


def limit_rows(graph: StoredGraph) -> LimitRows | None:
    """Those of a stored graph, None if it has no limits."""
    return None if graph.limits is None else LimitRows(graph.limits, held_in(graph))


def memory_bounds(problem: Problem, held: Sequence[Held], most: int) -> list[Bound]:
    """A row for each moment of the head that may exceed `most`, see the module."""
    ops = problem.op_count
    made = np.array([each.producer for each in held], dtype=np.int64)
    size = np.array([each.bytes for each in held], dtype=np.int64)
    end = np.array([ops if each.is_output else max(each.last, each.producer) for each in held], dtype=np.int64)
    read = np.array([each.last >= 0 for each in held], dtype=np.bool_)
    counts = problem.forms.counts
    bounds: list[Bound] = []
    for moment in range(ops + 1):
        alive = (made <= moment) & (end >= moment)
        own = np.zeros(ops, dtype=np.int64)
        from_op = alive & (made >= 0)
        np.add.at(own, made[from_op], size[from_op])
        # What crosses is held to the end. Outputs are, anyhow.
        gone = (end < moment)[read]
        crossing = np.repeat(np.where(gone, size[read], 0), counts)
        if moment == ops:
            crossing = crossing + problem.forms.wire_bytes
        row = row_of(problem, f"memory at {'the end' if moment == ops else f'op {moment}'}", on_device=own, crossing=crossing)
        bound = most - int(size[alive & (made < 0)].sum())
        if _largest(problem, row) > bound and not (bounds and _covers(bounds[-1], (row, bound))):
            if bounds and _covers((row, bound), bounds[-1]):
                bounds.pop()
            bounds.append((row, bound))
    return bounds


def _largest(problem: Problem, row: Row) -> int:
    """No placement has more of a row."""
    crossing = np.maximum.reduceat(row.crossing, problem.forms.start[:-1]) if len(row.crossing) else row.crossing
    return int(row.on_device.sum()) + int(crossing.sum())


def _covers(one: Bound, other: Bound) -> bool:
    """Is a placement that keeps within the first bound within the second one, entry by entry?"""
    (row, most), (less, bound) = one, other
    return most <= bound and bool((row.on_device >= less.on_device).all() and (row.crossing >= less.crossing).all())
