"""Merge an op into its only producer when keeping it on the device costs nothing extra.

Rule. Everything that op w reads is made by the single op v (no model input), w is not pinned to the server, the server is
never faster for w, and the tensors that w makes for others, all free to cross, never cost more together to send than those
that nobody but w reads: where tensors have one form, they are no larger; where they have several, `compress.exchange` says
how that is known. Then w joins v.

Proof. Take an allowed placement S with v on the device and w on the server. Move w to the device. Closure holds: all that w
reads is there. Compute does not get dearer. Those that w alone reads crossed and no longer do; at most those that w makes start
to cross. What is sent does not get dearer; download can only shrink, and so can the offload term. So some optimal placement
has v and w on one side, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from compress.exchange import free_moves
from compress.wiring import follow, wiring
from mincut.problem import ON_SERVER, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]."""
    wires, ops = wiring(problem), np.arange(problem.op_count)
    producer = wires.only_producer
    joins = (producer >= 0) & (problem.pinned != ON_SERVER)
    joins &= wires.made_may_cross
    joins[joins] = bounds.server_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])
    joins = free_moves(problem, joins, wires.made, wires.alone, lambda _, more: bounds.sends_no_more(more))
    return follow(np.where(joins, producer, ops))
