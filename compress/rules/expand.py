"""Merge an op into its only reader when handing it to the server costs nothing extra.

Rule. Op v makes no model output, everything it makes is read by the single op w and nobody else, v is not pinned to the
device, the device is never faster for v, and the tensors that v reads and w does not, all free to cross, are together no
larger than those it makes. Then v joins w.

Proof. Take an allowed placement S with v on the device and w on the server (the other way round is not closed). Move v to
the server. Closure holds: v's only reader is there already. Compute does not get dearer, as the device is never faster.
The tensors v makes crossed and no longer do; at most the tensors that v reads start to cross, except those that w reads
too, which crossed before. Upload does not grow, download and offload stay. So some optimal placement has v and w on one
side, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from compress.wiring import Wiring, wiring
from mincut.problem import ON_DEVICE, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]. Chains merge in one round: the proof holds link by link from the last one back."""
    wires = wiring(problem)
    group = np.arange(problem.op_count, dtype=np.int64)
    for op in range(problem.op_count - 1, -1, -1):
        if _joins_its_reader(problem, wires, bounds, op):
            (reader,) = wires.readers_of[op]
            group[op] = group[reader]
    return group


def _joins_its_reader(problem: Problem, wires: Wiring, bounds: Bounds, op: int) -> bool:
    if len(wires.readers_of[op]) != 1 or problem.download_bytes[op] or problem.pinned[op] == ON_DEVICE:
        return False
    if not bounds.device_is_never_faster(int(problem.device_ns[op]), int(problem.server_ns[op])):
        return False
    (reader,) = wires.readers_of[op]
    newly_crossing = [tensor for tensor in wires.reads[op] if tensor not in wires.reads[reader]]
    if not problem.may_cross[newly_crossing].all():
        return False
    return bool(problem.wire_bytes[newly_crossing].sum() <= problem.wire_bytes[wires.makes[op]].sum())
