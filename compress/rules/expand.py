"""Merge an op into its only reader when handing it to the server costs nothing extra.

Rule. Op v makes no model output, everything it makes is read by the single op w and nobody else, v is not pinned to the
device, the device is never faster for v, and the tensors that v reads and w does not, all free to cross, never cost more
together to send than those it makes: where tensors have one form, they are no larger; where they have several,
`compress.exchange` says how that is known. Then v joins w.

Proof. Take an allowed placement S with v on the device and w on the server (the other way round is not closed). Move v to
the server. Closure holds: v's only reader is there already. Compute does not get dearer, as the device is never faster.
The tensors v makes crossed and no longer do; at most the tensors that v reads start to cross, except those that w reads
too, which crossed before. What is sent does not get dearer, download and offload stay. So some optimal placement has v and w
on one side, for every price in the bounds. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds
from compress.exchange import free_moves
from compress.wiring import NOBODY, follow, wiring
from mincut.problem import ON_DEVICE, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round; int64[n]. Chains merge in one round: the proof holds link by link from the last one back."""
    wires = wiring(problem)
    joins = (wires.only_reader != NOBODY) & (problem.download_bytes == 0) & (problem.pinned != ON_DEVICE)
    joins &= wires.own_may_cross
    joins[joins] = bounds.device_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])
    joins = free_moves(problem, joins, wires.own, wires.made, lambda _, more: bounds.sends_no_more(more))
    return follow(np.where(joins, wires.only_reader, np.arange(problem.op_count)))
