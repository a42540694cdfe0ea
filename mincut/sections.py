"""A problem cut at its joints, places in the order of the ops where everything after depends on everything before.

Data never flows back. So if any op after a joint is on the device, all ops before it are, and if any op before it is on the
server, all ops after it are. Let section j be the ops between joint j and joint j + 1 (joint 0 is the start, the last one the
end of all ops).

Theorem. Every allowed placement is of a class j: the ops before section j on the device, those after it on the server, each
op of section j on either side. So the cheapest placement is the cheapest of as many as there are sections, and each of these
is a minimum cut of one section, whatever the others look like. Proof: j is the section of the last op on the device (0 if
none is). By its joints all ops before section j are on the device too, and by choice none after it is. QED

What a placement of class j costs beyond its section is known from j alone: the ops before it on the device, those after it on
the server, and every tensor that jumps it: made before it (or an input), read after it. Inside, a tensor from before the
section stands at the source like a model input; one that is also read after it crosses whenever its producer is on the
device, so it is a part of what the producer costs there.

A place p is a joint iff every op before p that no op before p reads (an end) is read by every op from p on that reads no op
from p on (a start). Proof: each op before p reaches an end, and each op from p on is reached from a start. And a path from an
end to a start is one wire: the second op on it is not before p, as an end has no such readers, and it reaches a start by a
path of ops from p on, so it is the start. QED So it is enough to count ends, starts and wires from one to the other.

All sections together are one network of independent parts, so a single maximum flow finds all their minimum cuts. A chain of
blocks has joints between them: sections stay as small as blocks however long the network, and so do augmenting paths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mincut.capped import capped, halves, joined, sum_capped, total_at
from mincut.codecs import crossing_costs
from mincut.implied_arcs import without_implied_arcs
from mincut.network import INFINITE, NOTHING, Network, arc_costs, lay_out, smallest_device_side, source_costs
from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, BoolArray, IntArray, Prices, Problem


@dataclass(frozen=True, eq=False)
class Sections:
    """A problem and the network of its sections.

    problem: the whole.
    feasible: bool[n], its smallest allowed device side.
    joints: int64[k + 1], from 0 to n; section j are the ops joints[j] .. joints[j + 1] - 1.
    network: all sections side by side. Op v keeps its number; `arc_tensor` and `fed_tensor` name tensors of the whole problem.
    section: int64[N], the section of each node.
    leaving: int64[*], the tensors that are read beyond the section in which an op makes them.
    jumping, jump_first, jump_end: int64[*]; tensor jumping[i] jumps the sections jump_first[i] .. jump_end[i] - 1.
    """

    problem: Problem
    feasible: BoolArray
    joints: IntArray
    network: Network
    section: IntArray
    leaving: IntArray
    jumping: IntArray
    jump_first: IntArray
    jump_end: IntArray

    @property
    def count(self) -> int:
        """How many sections there are."""
        return len(self.joints) - 1


@dataclass(frozen=True, eq=False)
class PricedSections:
    """Capacities of the sections' network for one set of prices, offloading free of charge.

    capacity, terminal: as in `mincut.network.PricedNetwork`.
    constant: int64[N], paid at each node in every cut.
    outside: int64[k], what a placement of each class costs beyond its section, at most `limit`.
    limit: the finite infinity.
    """

    capacity: IntArray
    terminal: IntArray
    constant: IntArray
    outside: IntArray
    limit: int


def cut_at_joints(problem: Problem) -> Sections:
    """Find the joints and lay out the sections.

    Raises:
        InfeasibleError: no placement is allowed.
    """
    feasible = smallest_device_side(problem)
    joints = find_joints(problem)
    section = np.repeat(np.arange(len(joints) - 1), np.diff(joints))
    made = np.where(problem.producer == MODEL_INPUT, -1, section[problem.producer])
    read_last = section[problem.consumers[problem.consumer_start[1:] - 1]]
    jumping = np.flatnonzero(read_last > made + 1)
    parts, source = _side_by_side(problem, section, made, read_last)
    # A section that pins forbid is found out by its cost: it has no allowed placement to name.
    network = without_implied_arcs(lay_out(parts, np.zeros(problem.op_count, dtype=np.bool_)))
    # Two more entries, which the negative marks index from the end.
    whole_tensor = np.concatenate((source, (NOTHING, INFINITE)))
    shared = np.diff(parts.consumer_start) > 1
    gadgets = section[parts.consumers[parts.consumer_start[:-1]]][shared]
    return Sections(
        problem,
        feasible,
        joints,
        replace(
            network,
            arc_tensor=whole_tensor[network.arc_tensor],
            fed_tensor=whole_tensor[network.fed_tensor],
        ),
        np.concatenate((section, gadgets, [0])),
        np.flatnonzero((made >= 0) & (read_last > made)),
        jumping,
        made[jumping] + 1,
        read_last[jumping],
    )


def find_joints(problem: Problem) -> IntArray:
    """Places p in the order of the ops such that every op from p on depends on every op before p; from 0 to n, ascending."""
    ops = problem.op_count
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    producer, reader = problem.producer[tensor], problem.consumers
    from_op = producer != MODEL_INPUT
    # Each wire once, though an op may read several tensors of another.
    wires = np.sort(producer[from_op] * ops + reader[from_op])
    producer, reader = np.divmod(wires[np.diff(wires, prepend=-1) > 0], max(ops, 1))
    first_reader = np.full(ops, ops, dtype=np.int64)
    np.minimum.at(first_reader, producer, reader)
    last_producer = np.full(ops, -1, dtype=np.int64)
    np.maximum.at(last_producer, reader, producer)
    # Op v is an end at the places v + 1 .. first_reader[v], and a start at last_producer[v] + 1 .. v.
    index = np.arange(ops)
    ends = _how_many_cover(index + 1, first_reader, ops)
    starts = _how_many_cover(last_producer + 1, index, ops)
    between = _how_many_cover(last_producer[reader] + 1, first_reader[producer], ops)
    inner = np.flatnonzero((between == ends * starts)[1:ops]) + 1
    return np.concatenate(([0], inner, [ops])).astype(np.int64) if ops else np.zeros(2, dtype=np.int64)


def _how_many_cover(first: IntArray, last: IntArray, ops: int) -> IntArray:
    """For each place 0 .. ops how many of the ranges first[i] .. last[i] it is in; empty ranges count for nothing."""
    some = first <= last
    change = np.bincount(first[some], minlength=ops + 2) - np.bincount(last[some] + 1, minlength=ops + 2)
    return np.cumsum(change)[: ops + 1]


def _side_by_side(problem: Problem, section: IntArray, made: IntArray, read_last: IntArray) -> tuple[Problem, IntArray]:
    """All sections as one problem with the ops of the whole, and the tensor of the whole that each of its tensors is.

    Tensors that leave their section cost nothing there, for `price_sections` charges their producers; what they keep is that
    readers in the section need their producer.
    """
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    reading = section[problem.consumers]
    # Where a tensor is made, and where it is last read, if that is another section: there it comes from the device.
    at_home, entering = reading == made[tensor], (reading == read_last[tensor]) & (made < read_last)[tensor]
    # Two tensors may come of one: keys 2e and 2e + 1 keep them apart and in order.
    key = np.concatenate((2 * tensor[at_home], 2 * tensor[entering] + 1))
    readers = np.concatenate((problem.consumers[at_home], problem.consumers[entering]))
    order = np.argsort(key, kind="stable")
    key, counts = np.unique(key[order], return_counts=True)
    whole, enters = key // 2, key % 2 == 1
    # What ops cost and where they are pinned stays as it is.
    parts = replace(
        problem,
        producer=np.where(enters, MODEL_INPUT, problem.producer[whole]),
        consumer_start=np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts))),
        consumers=readers[order],
        wire_bytes=problem.wire_bytes[whole],
        may_cross=problem.may_cross[whole],
        codecs=None,
    )
    return parts, np.where(~enters & (read_last > made)[whole], NOTHING, whole)


def price_sections(sections: Sections, prices: Prices, limit: int) -> PricedSections:
    """Fill in the capacities.

    Args:
        prices: the offload price is not looked at, see (a) in `mincut.lower_envelope`.
        limit: 1 + the cost of some allowed placement of the whole, at most 2^60.
    """
    problem, network, leaving = sections.problem, sections.network, sections.leaving
    ops = problem.op_count
    crossing = crossing_costs(problem.forms, prices, limit)
    crossing = np.where(problem.may_cross, crossing, limit)
    on_device = capped(problem.device_ns, prices.device, limit)
    on_device[problem.pinned == ON_SERVER] = limit
    on_server = capped(problem.server_ns, prices.server, limit)
    on_server = sum_capped(on_server, capped(problem.download_bytes, prices.download, limit), limit)
    on_server[problem.pinned == ON_DEVICE] = limit

    from_source = source_costs(network, crossing, limit)
    from_source[:ops] = sum_capped(from_source[:ops], on_server, limit)
    to_sink = np.zeros(network.node_count, dtype=np.int64)
    sent = joined(total_at(problem.producer[leaving], halves(crossing[leaving]), ops), limit)
    to_sink[:ops] = sum_capped(on_device, sent, limit)
    return PricedSections(
        arc_costs(network.arc_tensor, crossing, limit),
        from_source - to_sink,
        np.minimum(from_source, to_sink),
        _outside(sections, on_device, on_server, crossing, limit),
        limit,
    )


def _outside(sections: Sections, on_device: IntArray, on_server: IntArray, crossing: IntArray, limit: int) -> IntArray:
    if not len(on_device):
        return np.zeros(1, dtype=np.int64)
    device, server = (np.add.reduceat(halves(each), sections.joints[:-1], axis=1) for each in (on_device, on_server))
    halved = halves(crossing[sections.jumping])
    change = total_at(sections.jump_first, halved, sections.count + 1) - total_at(sections.jump_end, halved, sections.count + 1)
    # From one class to the next, a section moves from what comes after to what comes before, and the jumps change.
    so_far = np.cumsum(device - server + change[:, :-1], axis=1)
    return joined(so_far - device + server.sum(axis=1, keepdims=True), limit)


def class_costs(sections: Sections, priced: PricedSections, terminal_flow: IntArray) -> IntArray:
    """int64[k]: a lower bound on what the placements of each class cost, at most `limit`.

    Weak duality: no placement is cheaper than the value of a flow. The bound is the minimum if the flow is a maximum one.

    Args:
        terminal_flow: int64[N], what each node takes from the source (positive) or gives to the sink (negative).
    """
    paid = total_at(sections.section, halves(priced.constant), sections.count)
    paid += total_at(sections.section, halves(np.maximum(terminal_flow, 0)), sections.count)
    return joined(paid + halves(priced.outside), priced.limit)
