"""Merge along a wire so heavy that cutting it never pays anywhere in the box.

The classical reduction of minimum cuts (Padberg & Rinaldi 1990): an arc at least as heavy as everything else into its tail,
or out of its head, can be contracted. Here all terms are weighed together, so it also covers ops that are faster on the
device but whose output is large.

Rule (tail). Op u is read by the single op v, u is not pinned to the device, the tensors u reads and v does not may cross,
and at every corner of the box, with op times at their worst,
    server * server_ns(u) + download * download_bytes(u) + upload * (bytes u reads and v does not)
        <= device * device_ns(u) + upload * (bytes u makes).
Rule (head). Op w reads from the single op u alone, u is read by w alone, w is not pinned to the server, what w makes may
cross, and at every corner
    device * device_ns(w) + upload * (bytes w makes)
        <= server * server_ns(w) + download * download_bytes(w) + upload * (bytes u makes).

Proof. Both sides are linear in the prices, so an inequality that holds at the corners holds in the whole box. Take an
allowed placement with u on the device and v (or w) on the server. Moving u to the server (or w to the device) keeps closure,
and the inequality says that the cost does not grow; the offload term does not either. QED
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from compress.bounds import Bounds
from compress.wiring import Wiring, wiring
from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, IntArray, Problem


def label(problem: Problem, bounds: Bounds) -> IntArray:
    """Groups of one round, along tails if any can merge, else along heads; int64[n].

    Not both at once: a move to the server and a move to the device could undo each other.
    """
    wires = wiring(problem)
    group = np.arange(problem.op_count, dtype=np.int64)
    for op in range(problem.op_count - 1, -1, -1):
        if _tail_is_heavy(problem, wires, bounds, op):
            (reader,) = wires.readers_of[op]
            group[op] = group[reader]
    if (group != np.arange(problem.op_count)).any():
        return group
    for op in range(problem.op_count):
        if _head_is_heavy(problem, wires, bounds, op):
            (producer,) = wires.read_from[op]
            group[op] = group[producer]
    return group


def _tail_is_heavy(problem: Problem, wires: Wiring, bounds: Bounds, op: int) -> bool:
    if len(wires.readers_of[op]) != 1 or problem.pinned[op] == ON_DEVICE:
        return False
    (reader,) = wires.readers_of[op]
    newly_crossing = [tensor for tensor in wires.reads[op] if tensor not in wires.reads[reader]]
    if not problem.may_cross[newly_crossing].all():
        return False
    fewer_bytes = int(problem.wire_bytes[wires.makes[op]].sum()) - int(problem.wire_bytes[newly_crossing].sum())
    server_ns = int(problem.server_ns[op]) * (1 + bounds.uncertainty)
    device_ns = int(problem.device_ns[op]) * (1 - bounds.uncertainty)
    return _never_positive(bounds, -device_ns, server_ns, -fewer_bytes, int(problem.download_bytes[op]))


def _head_is_heavy(problem: Problem, wires: Wiring, bounds: Bounds, op: int) -> bool:
    if len(wires.read_from[op]) != 1 or problem.pinned[op] == ON_SERVER:
        return False
    (producer,) = wires.read_from[op]
    if producer == MODEL_INPUT or wires.readers_of[producer] != {op}:
        return False
    if not problem.may_cross[wires.makes[op]].all():
        return False
    more_bytes = int(problem.wire_bytes[wires.makes[op]].sum()) - int(problem.wire_bytes[wires.makes[producer]].sum())
    device_ns = int(problem.device_ns[op]) * (1 + bounds.uncertainty)
    server_ns = int(problem.server_ns[op]) * (1 - bounds.uncertainty)
    return _never_positive(bounds, device_ns, -server_ns, more_bytes, -int(problem.download_bytes[op]))


def _never_positive(
    bounds: Bounds, device_ns: Fraction | int, server_ns: Fraction | int, upload_bytes: int, download_bytes: int
) -> bool:
    return all(
        device * device_ns + server * server_ns + upload * upload_bytes + download * download_bytes <= 0
        for device, server, upload, download in bounds.corners()
    )
