"""A problem cut at its gates, ops that depend on every op before them and that every op after them depends on.

Data never flows back, so a gate on the device has all ops before it on the device, and a gate on the server has all ops
after it on the server. Let g_1 < ... < g_k be the gates, and section j the ops between g_j and g_{j+1}, both excluded (from
the first op for j = 0, to the last op for j = k).

Theorem. The allowed placements fall into k + 1 classes: in class j the ops up to g_j are on the device, those from g_{j+1} on
are on the server, and each op of section j is on either side. So the cheapest placement is the cheapest of k + 1, and each of
these is a minimum cut of one section, whatever the other sections look like. Proof: j is the last gate on the device (0 if
none is); the gates' property settles all ops but those of section j. QED

What a placement of class j costs beyond its section is known from j alone: the ops up to g_j on the device, those from
g_{j+1} on the server, and every tensor that jumps the section: made before it, read at g_{j+1} or later. Inside a section,
tensors from before it stand at the source like model inputs, and g_{j+1} stands for everything after it, on the server.

One op v is a gate iff (1) every op before it has a reader up to v, and (2) every op after it reads from an op from v on.
Proof: by (1) a walk from reader to reader, each time to the first one, rises and cannot pass v, so it ends there. Conversely
the path from an op to v begins with a reader up to v. Likewise (2), backwards. QED

All sections together are one network of independent parts, so a single maximum flow finds all their minimum cuts. A chain of
blocks has gates at their joints: sections stay as small as blocks however long the network, and so do augmenting paths.
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
    gates: int64[k], ascending.
    network: all sections side by side. Op v keeps its number; gate g_{j+1} stands in section j for all that comes after.
        `arc_tensor` and `fed_tensor` name tensors of the whole problem.
    section: int64[N], the section of each node.
    jump_first, jump_end: int64[m]; tensor e jumps the sections jump_first[e] .. jump_end[e] - 1.
    """

    problem: Problem
    feasible: BoolArray
    gates: IntArray
    network: Network
    section: IntArray
    jump_first: IntArray
    jump_end: IntArray

    @property
    def count(self) -> int:
        """How many sections there are."""
        return len(self.gates) + 1


@dataclass(frozen=True, eq=False)
class PricedSections:
    """Capacities of the sections' network for one set of prices, offloading free of charge.

    capacity, terminal: as in `mincut.network.PricedNetwork`.
    constant: int64[N], paid at each node in every cut.
    outside: int64[k + 1], what a placement of each class costs beyond its section, at most `limit`.
    limit: the finite infinity.
    """

    capacity: IntArray
    terminal: IntArray
    constant: IntArray
    outside: IntArray
    limit: int


def cut_at_gates(problem: Problem) -> Sections:
    """Find the gates and lay out the sections.

    Raises:
        InfeasibleError: no placement is allowed.
    """
    feasible = smallest_device_side(problem)
    gates = find_gates(problem)
    ops = np.arange(problem.op_count)
    # Gate g_{j+1} counts as one of section j.
    section = np.searchsorted(gates, ops, side="left")
    is_gate = np.zeros(problem.op_count, dtype=np.bool_)
    is_gate[gates] = True
    parts, source = _side_by_side(problem, gates, section, is_gate)
    # A section that pins forbid is found out by its cost: it has no allowed placement to name.
    network = without_implied_arcs(lay_out(parts, np.zeros(problem.op_count, dtype=np.bool_)))
    # Two more entries, which the negative marks index from the end.
    whole_tensor = np.concatenate((source, (NOTHING, INFINITE)))
    shared = np.diff(parts.consumer_start) > 1
    gadgets = section[parts.consumers[parts.consumer_start[:-1]]][shared]
    last = problem.consumers[problem.consumer_start[1:] - 1]
    return Sections(
        problem,
        feasible,
        gates,
        replace(
            network,
            arc_tensor=whole_tensor[network.arc_tensor],
            fed_tensor=whole_tensor[network.fed_tensor],
        ),
        np.concatenate((section, gadgets, [len(gates)])),
        np.where(problem.producer == MODEL_INPUT, 0, section[problem.producer] + 1),
        np.searchsorted(gates, last, side="right"),
    )


def find_gates(problem: Problem) -> IntArray:
    """Ops that are upstream or downstream of every other op, ascending."""
    ops = problem.op_count
    tensor_of_reader = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    producer = problem.producer[tensor_of_reader]
    from_op = producer != MODEL_INPUT
    first_reader = np.full(ops, ops, dtype=np.int64)
    np.minimum.at(first_reader, producer[from_op], problem.consumers[from_op])
    last_producer = np.full(ops, MODEL_INPUT, dtype=np.int64)
    np.maximum.at(last_producer, problem.consumers, producer)
    if not ops:
        return np.zeros(0, dtype=np.int64)
    # For each op the latest first reader of those before it, and the earliest last producer of those after it.
    before = np.concatenate(([-1], np.maximum.accumulate(first_reader)[:-1]))
    after = np.concatenate((np.minimum.accumulate(last_producer[::-1])[-2::-1], [ops]))
    index = np.arange(ops)
    return np.flatnonzero((before <= index) & (after >= index))


def _side_by_side(problem: Problem, gates: IntArray, section: IntArray, is_gate: BoolArray) -> tuple[Problem, IntArray]:
    """All sections as one problem with the ops of the whole, and the tensor of the whole that each of its tensors is."""
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    reader, producer = problem.consumers, problem.producer[tensor]
    from_op = producer != MODEL_INPUT
    home = np.where(from_op, section[producer], -1)
    inside = from_op & ~is_gate[producer]
    # Where a tensor is made: readers in that section as they are, later ones as the gate that ends the section.
    end = np.append(gates, problem.op_count)[home]
    # Where it is last read, if that is another section and the reader no gate: it comes from the device.
    last = problem.consumers[problem.consumer_start[1:] - 1][tensor]
    enters = ~is_gate[last] & (section[reader] == section[last]) & ~(inside & (home == section[last]))
    # Two tensors may come of one: keys 2e and 2e + 1 keep them apart and in order.
    key = np.concatenate((2 * tensor[inside], 2 * tensor[enters] + 1))
    readers = np.concatenate((np.minimum(reader, end)[inside], reader[enters]))
    size = max(problem.op_count, 1)
    # By sorting: np.unique hashes, which takes ten times as long here.
    pairs = np.sort(key * size + readers)
    key, readers = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], size)
    _, start, counts = np.unique(key, return_index=True, return_counts=True)
    source, entering = key[start] // 2, key[start] % 2 == 1
    # What ops cost and where they are pinned stays as it is: `price_sections` knows what a gate stands for.
    parts = replace(
        problem,
        producer=np.where(entering, MODEL_INPUT, problem.producer[source]),
        consumer_start=np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts))),
        consumers=readers,
        wire_bytes=problem.wire_bytes[source],
        may_cross=problem.may_cross[source],
        codecs=None,
    )
    return parts, source


def price_sections(sections: Sections, prices: Prices, limit: int) -> PricedSections:
    """Fill in the capacities.

    Args:
        prices: the offload price is not looked at, see (a) in `mincut.envelope`.
        limit: 1 + the cost of some allowed placement of the whole, at most 2^60.
    """
    problem, network, gates = sections.problem, sections.network, sections.gates
    ops = problem.op_count
    crossing = crossing_costs(problem.forms, prices, limit)
    crossing = np.where(problem.may_cross, crossing, limit)
    on_device = capped(problem.device_ns, prices.device, limit)
    on_device[problem.pinned == ON_SERVER] = limit
    on_server = capped(problem.server_ns, prices.server, limit)
    on_server = sum_capped(on_server, capped(problem.download_bytes, prices.download, limit), limit)
    on_server[problem.pinned == ON_DEVICE] = limit

    from_source = source_costs(network, crossing, limit)
    to_sink = np.zeros(network.node_count, dtype=np.int64)
    inner_server, inner_device = on_server.copy(), on_device.copy()
    inner_server[gates], inner_device[gates] = 0, limit
    from_source[:ops] = sum_capped(from_source[:ops], inner_server, limit)
    to_sink[:ops] = inner_device
    return PricedSections(
        arc_costs(network.arc_tensor, crossing, limit),
        from_source - to_sink,
        np.minimum(from_source, to_sink),
        _outside(sections, on_device, on_server, crossing, limit),
        limit,
    )


def _outside(sections: Sections, on_device: IntArray, on_server: IntArray, crossing: IntArray, limit: int) -> IntArray:
    before = _running(halves(on_device))
    after = _running(halves(on_server))
    # Section j: ops up to gate j, which are before[first[j]], and ops from gate j + 1 on.
    first = np.concatenate(([0], sections.gates + 1))
    end = np.append(sections.gates, sections.problem.op_count)
    jumps = sections.jump_first < sections.jump_end
    halved = halves(crossing[jumps])
    change = total_at(sections.jump_first[jumps], halved, sections.count + 1)
    change -= total_at(sections.jump_end[jumps], halved, sections.count + 1)
    jumping = np.cumsum(change, axis=1)[:, :-1]
    return joined(before[:, first] + (after[:, -1:] - after[:, end]) + jumping, limit)


def _running(halved: IntArray) -> IntArray:
    """Sums of the first 0, 1, 2, ... columns."""
    return np.concatenate((np.zeros((2, 1), dtype=np.int64), np.cumsum(halved, axis=1)), axis=1)


def class_costs(sections: Sections, priced: PricedSections, terminal_flow: IntArray) -> IntArray:
    """int64[k + 1]: a lower bound on what the placements of each class cost, at most `limit`.

    Weak duality: no placement is cheaper than the value of a flow. The bound is the minimum if the flow is a maximum one.

    Args:
        terminal_flow: int64[N], what each node takes from the source (positive) or gives to the sink (negative).
    """
    paid = total_at(sections.section, halves(priced.constant), sections.count)
    paid += total_at(sections.section, halves(np.maximum(terminal_flow, 0)), sections.count)
    return joined(paid + halves(priced.outside), priced.limit)
