"""The formulation: a `Problem` and `Prices` become a flow network whose minimum cut is the cheapest placement.

Nodes are the ops, then one gadget node per tensor with several readers, then one node "offloads at all". The source side
of a cut is the device. An arc is paid when it leaves the source side.

    source → op            prices.server * server_ns + prices.download * download_bytes        op on the server
    op → sink              prices.device * device_ns                                           op on the device
    producer → reader      prices.upload * wire_bytes (*)                                      tensor with one reader
    producer → gadget      prices.upload * wire_bytes (*), gadget → each reader: infinite      paid once for all readers
    reader → producer      infinite: data never flows back (DADS, INFOCOM 2019, lacks these)
    source → offload       prices.offload, offload → every op that ends a chain: infinite      any op on the server

(*) of a tensor with several codecs: the least of prices.upload * wire bytes + prices.device * encoding + prices.server *
decoding over its codecs.

A model input stands at the source, so its arcs start there. Pins are infinite terminal arcs; a tensor that may not cross
has an infinite wire arc.

Only the sinks of the DAG need the offload arc: if any op is on the server, so is, by closure, some op without readers.

Terminal arcs are kept as one signed number per node (source minus sink): min(a, b) of a pair source→v→sink is paid in every
cut, so it is taken out as a constant (Boykov & Kolmogorov, PAMI 2004, section 3.3).

Finite infinity. Let `limit` = 1 + cost of some allowed placement. Replacing every capacity above `limit` by `limit` leaves
every minimum cut as it was: a cut containing such an arc costs at least `limit`, more than that placement. Hence no cost
that matters is ever larger than `limit` < 2^61, every residual capacity stays below 2^62, and int64 cannot wrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mincut.capped import halves, joined, sum_capped, total_at
from mincut.errors import InfeasibleError, MincutError
from mincut.problem import LARGEST_COST, MODEL_INPUT, ON_DEVICE, ON_SERVER, BoolArray, IntArray, Prices, Problem
from mincut.rows import Row, priced

# In place of a tensor: an arc that may never be cut, and one that carries nothing.
INFINITE, NOTHING = -1, -2


@dataclass(frozen=True, eq=False)
class Network:
    """The part of the formulation that does not depend on prices.

    Arcs are grouped by tail node: those leaving node v are start[v] .. start[v + 1] - 1.

    arc_head: int64[A]; head node of each arc.
    reverse: int64[A]; the arc of the same pair in the other direction, reverse[reverse[a]] == a.
    arc_tensor: int64[A]; the tensor whose crossing an arc stands for, INFINITE, or NOTHING for a reverse arc without capacity.
    fed_node, fed_tensor: int64[*]; the nodes that the source feeds, each with the model input it stands for, or INFINITE.
    offload_node: its index, or -1 when there are no ops.
    """

    problem: Problem
    node_count: int
    start: IntArray
    reverse: IntArray
    arc_head: IntArray
    arc_tensor: IntArray
    fed_node: IntArray
    fed_tensor: IntArray
    offload_node: int
    feasible: BoolArray


@dataclass(frozen=True, eq=False)
class PricedNetwork:
    """Capacities for one set of prices, or for one row.

    capacity: int64[A]; residual capacities before any flow.
    terminal: int64[N]; capacity from the source (positive) or to the sink (negative) after the constant is taken out.
    constant: cost paid in every cut.
    limit: the finite infinity.
    """

    network: Network
    capacity: IntArray
    terminal: IntArray
    constant: int
    limit: int


def build(problem: Problem) -> Network:
    """Lay out the arcs once; `price` then fills in capacities for any prices.

    Raises:
        InfeasibleError: pins and tensors that may not cross contradict each other.
    """
    return lay_out(problem, smallest_device_side(problem))


def lay_out(problem: Problem, feasible: BoolArray) -> Network:
    """The arcs, and an allowed placement that is known already (bool[n])."""
    op_count = problem.op_count
    counts = np.diff(problem.consumer_start)
    shared = counts > 1
    gadget = np.where(shared, op_count + np.cumsum(shared) - 1, -1)
    offload_node = op_count + int(shared.sum())
    node_count = offload_node + 1
    tensor_of_reader = np.repeat(np.arange(problem.tensor_count), counts)
    producer_of_reader = problem.producer[tensor_of_reader]
    wire = np.where(problem.may_cross, np.arange(problem.tensor_count), INFINITE)
    from_op = problem.producer != MODEL_INPUT

    single = ~shared & from_op
    first_reader = problem.consumers[problem.consumer_start[:-1]] if problem.tensor_count else problem.consumers
    to_gadget = shared & from_op
    read_shared = shared[tensor_of_reader]
    back = read_shared & (producer_of_reader != MODEL_INPUT)
    ends = np.setdiff1d(np.arange(op_count), problem.producer[from_op])

    arcs = [
        _arcs(problem.producer[single], first_reader[single], wire[single], INFINITE),
        _arcs(problem.producer[to_gadget], gadget[to_gadget], wire[to_gadget]),
        _arcs(gadget[tensor_of_reader[read_shared]], problem.consumers[read_shared], INFINITE),
        _arcs(problem.consumers[back], producer_of_reader[back], INFINITE),
        _arcs(offload_node, ends, INFINITE),
    ]
    tails, heads, forwards, backwards = np.concatenate(arcs, axis=1)
    start, reverse, arc_head, arc_tensor = group_by_tail(node_count, tails, heads, forwards, backwards)

    fed = np.flatnonzero(~from_op)
    return Network(
        problem,
        node_count,
        start,
        reverse,
        arc_head,
        arc_tensor,
        np.asarray(np.where(shared[fed], gadget[fed], first_reader[fed]), dtype=np.int64),
        np.asarray(wire[fed], dtype=np.int64),
        offload_node,
        feasible,
    )


def _arcs(tails: IntArray | int, heads: IntArray, forwards: IntArray | int, backwards: int = NOTHING) -> IntArray:
    """int64[4, k]: tails, heads, and what an arc stands for forwards and backwards: a tensor, INFINITE or NOTHING."""
    rows = np.empty((4, len(heads)), dtype=np.int64)
    rows[0], rows[1], rows[2], rows[3] = tails, heads, forwards, backwards
    return rows


def group_by_tail(
    node_count: int, tails: IntArray, heads: IntArray, forwards: IntArray, backwards: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Arc pairs to arrays sorted by tail: start, reverse, head, tensor."""
    pairs = len(tails)
    all_tails = np.concatenate((tails, heads))
    order = np.argsort(all_tails, kind="stable")
    place = np.empty(2 * pairs, dtype=np.int64)
    place[order] = np.arange(2 * pairs)
    start = np.zeros(node_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(all_tails, minlength=node_count), out=start[1:])
    partner = np.concatenate((np.arange(pairs, 2 * pairs), np.arange(pairs)))
    all_heads, all_tensors = np.concatenate((heads, tails)), np.concatenate((forwards, backwards))
    return start, place[partner[order]], all_heads[order], all_tensors[order]


def smallest_device_side(problem: Problem) -> BoolArray:
    """The smallest allowed device side: pins, closed under predecessors and under tensors that may not cross; bool[n].

    Raises:
        InfeasibleError: pins and tensors that may not cross contradict each other.
    """
    on_device: BoolArray = np.asarray(problem.pinned == ON_DEVICE)
    tensor_of_reader = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    producer = problem.producer[tensor_of_reader]
    reader, stuck = problem.consumers, ~problem.may_cross[tensor_of_reader]
    from_op = producer != MODEL_INPUT
    on_device[reader[stuck & ~from_op]] = True
    forced = stuck & from_op
    on_device = _with_all_they_need(
        on_device, np.concatenate((reader[from_op], producer[forced])), np.concatenate((producer[from_op], reader[forced]))
    )
    conflict = np.flatnonzero(on_device & (problem.pinned == ON_SERVER))
    if len(conflict):
        raise InfeasibleError(
            f"op {conflict[0]} is pinned to the server, yet ops pinned to the device or tensors that may not cross "
            "need it on the device"
        )
    return on_device


def _with_all_they_need(chosen: BoolArray, op: IntArray, needed: IntArray) -> BoolArray:
    """The chosen ops with all that any of them needs, where op[i] needs needed[i]; every need is looked at once."""
    pending = np.flatnonzero(chosen).tolist()
    if not pending:
        return chosen
    order = np.argsort(op, kind="stable")
    start = np.searchsorted(op[order], np.arange(len(chosen) + 1)).tolist()
    needs, found = needed[order].tolist(), chosen.tolist()
    while pending:
        at = pending.pop()
        for other in needs[start[at] : start[at + 1]]:
            if not found[other]:
                found[other] = True
                pending.append(other)
    return np.array(found, dtype=np.bool_)


def price(network: Network, prices: Prices, known_cost: int | None = None) -> PricedNetwork:
    """Fill in the capacities.

    Args:
        known_cost: what some allowed placement costs at these prices, if a cheap one is known; then only this one must fit.

    Raises:
        MincutError: a price is negative, or the costs do not fit (the cheapest known placement costs 2^60 or more).
    """
    problem = network.problem
    if min(prices) < 0:
        raise MincutError(f"prices must not be negative, got {prices}")
    everything = np.ones(problem.op_count, dtype=np.bool_)
    known = [problem.features(network.feasible).cost(prices)]
    if not (problem.pinned == ON_SERVER).any():
        known.append(problem.features(everything).cost(prices))
    if known_cost is not None:
        known.append(known_cost)
    if min(known) >= LARGEST_COST:
        raise MincutError(f"a placement costs {min(known)}, which must stay below 2^60: scale the prices down")
    limit = min(known) + 1
    return price_row(network, priced(problem, prices, limit), limit)


def price_row(network: Network, row: Row, limit: int, pinned: npt.NDArray[np.int8] | None = None) -> PricedNetwork:
    """Fill in the capacities by which a minimum cut is the least amount of one row.

    A tensor crosses in the form in which the row is least. No capacity is above `limit`, so a flow never proves more than is
    true: it is one within the row's own capacities.

    Args:
        limit: more than some allowed placement has of the row; or (number of nodes and tensors) times it is below 2^62, and
            a minimum cut of at least `limit` says that every allowed placement has at least `limit`.
        pinned: int8[n], in place of the problem's.
    """
    problem = network.problem
    pinned = problem.pinned if pinned is None else pinned
    forms = np.minimum(row.crossing, limit)
    crossing = np.minimum.reduceat(forms, problem.forms.start[:-1]) if len(forms) else forms
    capacity = arc_costs(network.arc_tensor, crossing, limit)
    from_source = source_costs(network, crossing, limit)
    to_sink = np.zeros(network.node_count, dtype=np.int64)
    ops = slice(0, problem.op_count)
    from_source[ops] = sum_capped(from_source[ops], np.minimum(row.on_server, limit), limit)
    from_source[ops][pinned == ON_DEVICE] = limit
    to_sink[ops] = np.minimum(row.on_device, limit)
    to_sink[ops][pinned == ON_SERVER] = limit
    if problem.op_count:
        from_source[network.offload_node] = min(row.once, limit)
    # Where some placement has less than `limit`, it pays the smaller one at each node, so that the sum is less, too.
    constant = int(np.minimum(from_source, to_sink).sum())
    return PricedNetwork(network, capacity, from_source - to_sink, constant, limit)


def arc_costs(tensor: IntArray, crossing: IntArray, limit: int) -> IntArray:
    """int64, for each entry of `tensor` what it costs to cut: `crossing` of that tensor, `limit` if INFINITE, 0 if NOTHING.

    crossing: int64[m], see `mincut.codecs.crossing_costs`.
    """
    # Two more entries, which the negative marks index from the end.
    return np.asarray(np.concatenate((crossing, (0, limit)))[tensor], dtype=np.int64)


def source_costs(network: Network, crossing: IntArray, limit: int) -> IntArray:
    """int64[N]: capacity from the source to each node for the model inputs that the node stands for."""
    # Several inputs may feed one node.
    costs = halves(arc_costs(network.fed_tensor, crossing, limit))
    return joined(total_at(network.fed_node, costs, network.node_count), limit)
