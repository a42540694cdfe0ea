"""Merge a whole region between two narrow places of the graph when no cut inside it can win.

A gate is an op after which, in topological order, only its own tensors are still needed (the start of the graph, with the
model inputs, is a gate too). A region is what lies between two neighbouring gates, the second one, b, included.

Rule. Every op of the region reaches b; apart from b none makes a model output, none is pinned to the device, and the device
is never faster for any; the tensors that enter the region may cross; every tensor that is read in the region crosses in one
form alone, which takes no time to encode or decode; and the smallest number of bytes that any cut inside the region sends,
found by a minimum cut over bytes alone, is that of the tensors that enter. Then the region is one op.

A region whose tensors have several forms is left alone. What its cheapest inner cut costs is then a function of the prices,
minimum cuts at all corners of which would cost more than the smaller problem saves.

Proof. Take an allowed placement S with some but not all of the region on the device. Then b is on the server, since by
closure b on the device brings all that reaches it. Move the region's ops to the server. Closure holds: by then everything
after b is on the server, and nothing outside reads from the region but through b. Compute does not get dearer. The bytes
sent inside the region were at least those of its smallest cut, that is, of the entering tensors, which now cross instead.
Download and offload stay. So some optimal placement keeps the region together, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, BoolArray, IntArray, Prices, Problem, make_problem
from mincut.solver import solve

BYTES_ALONE = Prices(device=0, server=0, upload=1, download=0, offload=0)


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]."""
    group = np.arange(problem.op_count, dtype=np.int64)
    gates = _gates(problem)
    before = np.concatenate(([MODEL_INPUT], gates[:-1]))
    # What is asked of every inner op, for all ops at once; then only regions where the answer is yes are looked into.
    hindered = np.concatenate(([0], np.cumsum(~_may_leave(problem, bounds))))
    promising = (gates - before > 1) & (hindered[gates] == hindered[before + 1])
    reads = _tensors_by_reader(problem)
    for first, last in zip(before[promising].tolist(), gates[promising].tolist(), strict=True):
        if _is_one(problem, reads, first, last):
            group[first + 1 : last + 1] = last
    return group


def _gates(problem: Problem) -> IntArray:
    """Ops after which only their own tensors are still needed, in order."""
    last_reader = np.full(problem.op_count + 1, -1, dtype=np.int64)
    # Entry v + 1 belongs to producer v, so entry 0 to the model inputs.
    np.maximum.at(last_reader, problem.producer + 1, problem.consumers[problem.consumer_start[1:] - 1])
    needed_until = np.maximum.accumulate(last_reader)
    return np.flatnonzero(needed_until[:-1] <= np.arange(problem.op_count))


def _may_leave(problem: Problem, bounds: Bounds) -> BoolArray:
    """May each op go to the server when all its readers are there, as far as it alone is concerned? bool[n]."""
    read = np.zeros(problem.op_count, dtype=np.bool_)
    read[problem.producer[problem.producer != MODEL_INPUT]] = True
    # A dead end does not reach the gate; with readers inside the region, every op does.
    may: BoolArray = read & (problem.download_bytes == 0) & (problem.pinned != ON_DEVICE)
    may[may] = bounds.device_is_never_faster(problem.device_ns[may], problem.server_ns[may])
    return may


def _tensors_by_reader(problem: Problem) -> tuple[IntArray, IntArray]:
    """What each op reads: op v the tensors listed[start[v]:start[v + 1]]."""
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    start = np.concatenate(([0], np.cumsum(np.bincount(problem.consumers, minlength=problem.op_count))))
    return start, tensor[np.argsort(problem.consumers, kind="stable")]


def _is_one(problem: Problem, reads: tuple[IntArray, IntArray], before: int, gate: int) -> bool:
    start, listed = reads
    inside = np.unique(listed[start[before + 1] : start[gate + 1]])
    entering = inside[problem.producer[inside] <= before]
    if not problem.may_cross[entering].all() or not _in_one_form(problem, inside):
        return False
    return _fewest_bytes(problem, inside, before, gate) == int(problem.wire_bytes[entering].sum())


def _in_one_form(problem: Problem, tensors: IntArray) -> bool:
    """Does each of these tensors cross in one form, which takes no time?"""
    forms = problem.codecs
    if forms is None:
        return True
    first = forms.start[tensors]
    return bool((forms.counts[tensors] == 1).all()) and not (forms.device_ns[first].any() or forms.server_ns[first].any())


def _fewest_bytes(problem: Problem, tensors: IntArray, before: int, gate: int) -> int:
    """Bytes sent by the smallest cut of the region that leaves the gate op on the server."""
    first, size = before + 1, gate - before
    inner = make_problem(
        [0] * size,
        [0] * size,
        [
            (
                MODEL_INPUT if problem.producer[tensor] <= before else int(problem.producer[tensor]) - first,
                [int(op) - first for op in problem.readers(tensor)],
                int(problem.wire_bytes[tensor]),
            )
            for tensor in tensors
        ],
        pinned=[0] * (size - 1) + [ON_SERVER],
        may_cross=[bool(problem.may_cross[tensor]) for tensor in tensors],
    )
    return solve(inner, BYTES_ALONE).cost
