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
from compress.wiring import follow, wiring
from mincut.problem import ON_SERVER, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]."""
    wires, ops = wiring(problem), np.arange(problem.op_count)
    producer = wires.only_producer
    joins = (producer >= 0) & (wires.only_reader[producer] == ops) & (problem.pinned != ON_SERVER)
    joins &= wires.made_may_cross & (wires.made_bytes <= wires.made_bytes[producer])
    joins[joins] = bounds.server_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])
    return follow(np.where(joins, producer, ops))
