"""Merge along a wire so heavy that cutting it never pays anywhere in the box.

The classical reduction of minimum cuts (Padberg & Rinaldi 1990): an arc at least as heavy as everything else into its tail,
or out of its head, can be contracted. Here all terms are weighed together, so it also covers ops that are faster on the
device but whose output is large.

Rule (tail). Op u is read by the single op v, u is not pinned to the device, the tensors u reads and v does not may cross,
and at every corner of the box, with op times at their worst,
    server * server_ns(u) + download * download_bytes(u) + (to send what u reads and v does not)
        <= device * device_ns(u) + (to send what u makes).
Rule (head). Op w reads from the single op u alone, w is not pinned to the server, what w makes may cross, and at every corner
    device * device_ns(w) + (to send what w makes)
        <= server * server_ns(w) + download * download_bytes(w) + (to send what nobody but w reads).
To send is upload * bytes where tensors have one form; where they have several, these stand for every choice of forms on the
right with some choice of forms on the left, see `compress.exchange`.

Proof. With forms chosen both sides are linear in the prices, so an inequality that holds at the corners holds in the whole
box, and by the lemma of `compress.exchange` it then holds whatever forms are the cheapest. Take an
allowed placement with u on the device and v (or w) on the server. Moving u to the server (or w to the device) keeps closure,
and the inequality says that the cost does not grow; the offload term does not either. QED
"""

from __future__ import annotations

import numpy as np

from compress.bounds import Bounds, Sent
from compress.exchange import free_moves
from compress.wiring import NOBODY, Wiring, follow, wiring
from mincut.problem import ON_DEVICE, ON_SERVER, BoolArray, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round, along tails if any can merge, else along heads; int64[n].

    Not both at once: a move to the server and a move to the device could undo each other.
    """
    wires, ops = wiring(problem), np.arange(problem.op_count)
    towards = _along_heavy_tails(problem, wires, bounds)
    if (towards == ops).all():
        towards = _along_heavy_heads(problem, wires, bounds)
    return follow(towards)


def _along_heavy_tails(problem: Problem, wires: Wiring, bounds: Bounds) -> IntArray:
    joins = (wires.only_reader != NOBODY) & (problem.pinned != ON_DEVICE) & wires.own_may_cross

    def free(ops: IntArray, more: Sent) -> BoolArray:
        device_ns, server_ns, download_bytes = problem.device_ns[ops], problem.server_ns[ops], problem.download_bytes[ops]
        return bounds.moving_to_server_is_free(device_ns, server_ns, more, download_bytes)

    joins = free_moves(problem, joins, wires.own, wires.made, free)
    return np.where(joins, wires.only_reader, np.arange(problem.op_count))


def _along_heavy_heads(problem: Problem, wires: Wiring, bounds: Bounds) -> IntArray:
    ops, producer = np.arange(problem.op_count), wires.only_producer
    joins = (producer >= 0) & (problem.pinned != ON_SERVER) & wires.made_may_cross

    def free(ops: IntArray, more: Sent) -> BoolArray:
        device_ns, server_ns, download_bytes = problem.device_ns[ops], problem.server_ns[ops], problem.download_bytes[ops]
        return bounds.moving_to_device_is_free(device_ns, server_ns, more, download_bytes)

    joins = free_moves(problem, joins, wires.made, wires.alone, free)
    return np.where(joins, producer, ops)
