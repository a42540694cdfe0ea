"""Merge a whole region between two narrow places of the graph when no cut inside it can win.

A gate is an op after which, in topological order, only its own tensors are still needed (the start of the graph, with the
model inputs, is a gate too). A region is what lies between two neighbouring gates, the second one, b, included.

Rule. Every op of the region reaches b; apart from b none makes a model output, none is pinned to the device, and the device
is never faster for any; the tensors that enter the region may cross; and the smallest number of bytes that any cut inside
the region sends, found by a minimum cut over bytes alone, is that of the tensors that enter. Then the region is one op.

Proof. Take an allowed placement S with some but not all of the region on the device. Then b is on the server, since by
closure b on the device brings all that reaches it. Move the region's ops to the server. Closure holds: by then everything
after b is on the server, and nothing outside reads from the region but through b. Compute does not get dearer. The bytes
sent inside the region were at least those of its smallest cut, that is, of the entering tensors, which now cross instead.
Download and offload stay. So some optimal placement keeps the region together, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from compress.wiring import Wiring, wiring
from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, IntArray, Prices, Problem, make_problem
from mincut.solver import solve

BYTES_ALONE = Prices(device=0, server=0, upload=1, download=0, offload=0)


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]."""
    wires = wiring(problem)
    group = np.arange(problem.op_count, dtype=np.int64)
    before = MODEL_INPUT
    for gate in _gates(problem):
        if gate - before > 1 and _is_one(problem, wires, bounds, before, gate):
            group[before + 1 : gate + 1] = gate
        before = gate
    return group


def _gates(problem: Problem) -> list[int]:
    """Ops after which only their own tensors are still needed, in order."""
    last_reader = np.full(problem.op_count + 1, -1, dtype=np.int64)
    # Entry v + 1 belongs to producer v, so entry 0 to the model inputs.
    np.maximum.at(last_reader, problem.producer + 1, problem.consumers[problem.consumer_start[1:] - 1])
    needed_until = np.maximum.accumulate(last_reader)
    return [op for op in range(problem.op_count) if needed_until[op] <= op]


def _is_one(problem: Problem, wires: Wiring, bounds: Bounds, before: int, gate: int) -> bool:
    region = range(before + 1, gate + 1)
    inner = region[:-1]
    if problem.download_bytes[inner].any() or (problem.pinned[inner] == ON_DEVICE).any():
        return False
    if not all(
        bounds.device_is_never_faster(device, server)
        for device, server in zip(problem.device_ns[inner].tolist(), problem.server_ns[inner].tolist(), strict=True)
    ):
        return False
    if any(not wires.readers_of[op] for op in inner):
        return False  # a dead end does not reach the gate; with readers inside the region, every op does
    inside = sorted({tensor for op in region for tensor in wires.reads[op]})
    entering = [tensor for tensor in inside if problem.producer[tensor] <= before]
    if not problem.may_cross[entering].all():
        return False
    return _fewest_bytes(problem, inside, before, gate) == int(problem.wire_bytes[entering].sum())


def _fewest_bytes(problem: Problem, tensors: list[int], before: int, gate: int) -> int:
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
