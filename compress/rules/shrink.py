"""Merge an op into its only producer when keeping it on the device costs nothing extra.

Rule. Everything that op w reads is made by the single op v (no model input), everything that v makes for others is read by
w alone, w is not pinned to the server, the server is never faster for w, and the tensors that w makes for others, all free
to cross, are together no larger than those v makes. Then w joins v.

Proof. Take an allowed placement S with v on the device and w on the server. Move w to the device. Closure holds: all that w
reads is there. Compute does not get dearer. The tensors v makes crossed and no longer do; at most those that w makes start
to cross. Upload does not grow; download can only shrink, and so can the offload term. So some optimal placement has v and w
on one side, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from compress.wiring import Wiring, wiring
from mincut.problem import MODEL_INPUT, ON_SERVER, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]."""
    wires = wiring(problem)
    group = np.arange(problem.op_count, dtype=np.int64)
    for op in range(problem.op_count):
        if _joins_its_producer(problem, wires, bounds, op):
            (producer,) = wires.read_from[op]
            group[op] = group[producer]
    return group


def _joins_its_producer(problem: Problem, wires: Wiring, bounds: Bounds, op: int) -> bool:
    if len(wires.read_from[op]) != 1 or problem.pinned[op] == ON_SERVER:
        return False
    (producer,) = wires.read_from[op]
    if producer == MODEL_INPUT or wires.readers_of[producer] != {op}:
        return False
    if not bounds.server_is_never_faster(int(problem.device_ns[op]), int(problem.server_ns[op])):
        return False
    if not problem.may_cross[wires.makes[op]].all():
        return False
    return bool(problem.wire_bytes[wires.makes[op]].sum() <= problem.wire_bytes[wires.makes[producer]].sum())
