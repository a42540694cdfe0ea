"""The formulation for tiers in a row: the network of `mincut.network` once for each link, and arcs that nest the copies.

Ordered labels as one minimum cut are due to Ishikawa (PAMI 2003). Node v_k, op v in the copy of link k, is on the source side
iff v is in S_k, the ops on tiers up to k. Copy k holds the arcs of `mincut.network` for link k, but for what ops take: its
crossing tensors, its downloads, its round trip, its closure, its pins. In addition, with T tiers,

    v_0 → sink             prices.tier[0] * time on tier 0                op on tier 0
    source → v_(T-2)       prices.tier[T-1] * time on tier T - 1          op on tier T - 1
    v_k → v_(k-1)          prices.tier[k] * time on tier k                op on tier k, one of those in between
    v_(k-1) → v_k          infinite                                       S_(k-1) is part of S_k

Theorem: minimum cuts are the cheapest placements. Proof: infinite arcs leave no source side of a cut of finite cost, so its
sets S_k are closed, allowed, and nested, and each chain of such sets is a cut. The arc v_k → v_(k-1) leaves the source side iff
v is in S_k and not in S_(k-1), that is, iff v runs on tier k; the first two rows say the same of both ends. All other arcs of
copy k are paid as for two sides, which are S_k and the rest. Together this is the cost in `mincut.tiers.problem`. QED

With two tiers there is one copy and no nesting: it is the network of `mincut.network` itself. Finite infinity is as there, with
a limit that is one more than the cost of a placement on all tiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mincut.capped import capped, halves, joined, sum_capped, total_at
from mincut.codecs import crossing_costs
from mincut.errors import InfeasibleError, MincutError
from mincut.implied_arcs import without_implied_arcs
from mincut.network import INFINITE, Network, arc_costs, group_by_tail, lay_out, smallest_device_side
from mincut.problem import LARGEST_COST, ON_DEVICE, ON_SERVER, BoolArray, IntArray
from mincut.tiers.problem import TierPrices, TierProblem


@dataclass(frozen=True, eq=False)
class TierNetwork:
    """The part of the formulation that does not depend on prices; arcs are grouped by tail as in `mincut.network.Network`.

    first_node: int64[T - 1]; op v of link k is node first_node[k] + v.
    offload_node: int64[T - 1]; the node of each link for its round trip.
    arc_item: int64[A]; whose cost an arc has: tensor e at link k is k * m + e; op v on tier t, neither the first nor the last,
        is (T - 1) * m + (t - 1) * n + v; or INFINITE or NOTHING.
    fed_node, fed_item: int64[*]; the nodes that the source feeds, each with the model input at a link that it stands for.
    feasible: int64[n]; an allowed placement, the tier of each op: the one with every op as far as it may be.
    """

    problem: TierProblem
    node_count: int
    first_node: IntArray
    offload_node: IntArray
    start: IntArray
    reverse: IntArray
    arc_head: IntArray
    arc_item: IntArray
    fed_node: IntArray
    fed_item: IntArray
    feasible: IntArray


@dataclass(frozen=True, eq=False)
class PricedTiers:
    """Capacities for one set of prices: capacity int64[A], terminal int64[N], see `mincut.network.PricedNetwork`."""

    network: TierNetwork
    capacity: IntArray
    terminal: IntArray
    constant: int
    limit: int


def build_tiers(problem: TierProblem) -> TierNetwork:
    """Lay out the arcs once; `price_tiers` then fills in capacities for any prices.

    Raises:
        InfeasibleError: pins and tensors that may not cross contradict each other, at one link or between two.
    """
    sides = _smallest_sides(problem)
    copies = [without_implied_arcs(lay_out(link, near)) for link, near in zip(problem.links, sides, strict=True)]
    first_node = np.cumsum([0] + [copy.node_count for copy in copies], dtype=np.int64)
    rows = [_rows(copy, first_node[link], link * problem.tensor_count) for link, copy in enumerate(copies)]
    rows += list(_nesting_rows(problem, first_node))
    node_count = int(first_node[-1])
    start, reverse, arc_head, arc_item = group_by_tail(node_count, *np.concatenate(rows, axis=1))
    return TierNetwork(
        problem,
        node_count,
        first_node[:-1],
        np.array([copy.offload_node for copy in copies], dtype=np.int64) + first_node[:-1],
        start,
        reverse,
        arc_head,
        arc_item,
        np.concatenate([copy.fed_node + first_node[link] for link, copy in enumerate(copies)]),
        np.concatenate([_shifted(copy.fed_tensor, link * problem.tensor_count) for link, copy in enumerate(copies)]),
        np.asarray(sum((~near).astype(np.int64) for near in sides), dtype=np.int64),
    )


def _rows(copy: Network, first_node: int, first_item: int) -> IntArray:
    """int64[4, *]: each pair of arcs of a copy as tail, head, and what it stands for forwards and backwards."""
    tail = np.repeat(np.arange(copy.node_count), np.diff(copy.start))
    pair = np.flatnonzero(np.arange(len(copy.reverse)) < copy.reverse)
    back = copy.reverse[pair]
    return np.stack(
        (
            tail[pair] + first_node,
            copy.arc_head[pair] + first_node,
            _shifted(copy.arc_tensor[pair], first_item),
            _shifted(copy.arc_tensor[back], first_item),
        )
    )


def _shifted(tensor: IntArray, by: int) -> IntArray:
    """Marks (INFINITE, NOTHING) stay what they are."""
    return np.asarray(np.where(tensor < 0, tensor, tensor + by), dtype=np.int64)


def _nesting_rows(problem: TierProblem, first_node: IntArray) -> Iterator[IntArray]:
    ops = np.arange(problem.op_count)
    for link in range(1, len(problem.links)):
        item = len(problem.links) * problem.tensor_count + (link - 1) * problem.op_count + ops
        yield np.stack((first_node[link - 1] + ops, first_node[link] + ops, np.full_like(ops, INFINITE), item))


def _smallest_sides(problem: TierProblem) -> list[BoolArray]:
    """The smallest allowed near side of each link that holds the near side of the link before, bool[n] each."""
    sides: list[BoolArray] = []
    nearer = np.zeros(problem.op_count, dtype=np.bool_)
    for index, link in enumerate(problem.links):
        conflict = np.flatnonzero(nearer & (link.pinned == ON_SERVER))
        if len(conflict):
            raise InfeasibleError(
                f"op {conflict[0]} must run on tier {index + 1} or later, yet pins and tensors that may not cross link "
                f"{index - 1} keep it on tier {index - 1} or earlier"
            )
        pinned = np.where(nearer, ON_DEVICE, link.pinned).astype(np.int8)
        try:
            nearer = smallest_device_side(replace(link, pinned=pinned))
        except InfeasibleError as error:
            raise InfeasibleError(f"at link {index}, {error}") from error
        sides.append(nearer)
    return sides


def price_tiers(network: TierNetwork, prices: TierPrices, known_cost: int | None = None) -> PricedTiers:
    """Fill in the capacities.

    Args:
        known_cost: what some allowed placement costs at these prices, if a cheap one is known; then only this one must fit.

    Raises:
        MincutError: the prices are for another number of tiers, one is negative, or the costs do not fit (the cheapest known
            placement costs 2^60 or more).
    """
    problem = network.problem
    _check_prices(problem, prices)
    known = [problem.features(tier).cost(prices) for tier in simple_tiers(network)]
    least = min(known if known_cost is None else [*known, known_cost])
    if least >= LARGEST_COST:
        raise MincutError(f"a placement costs {least}, which must stay below 2^60: scale the prices down")
    limit = least + 1
    items = [crossing_costs(link.forms, prices.link(index), limit) for index, link in enumerate(problem.links)]
    items += [capped(link.device_ns, prices.tier[index], limit) for index, link in enumerate(problem.links) if index]
    costs = np.concatenate(items)
    capacity = arc_costs(network.arc_item, costs, limit)
    fed = halves(arc_costs(network.fed_item, costs, limit))
    from_source = joined(total_at(network.fed_node, fed, network.node_count), limit)
    to_sink = np.zeros(network.node_count, dtype=np.int64)
    for index, link in enumerate(problem.links):
        ops = slice(network.first_node[index], network.first_node[index] + problem.op_count)
        back = capped(link.download_bytes, prices.download[index], limit)
        from_source[ops] = sum_capped(from_source[ops], back, limit)
        if index == len(problem.links) - 1:
            last = capped(link.server_ns, prices.tier[-1], limit)
            from_source[ops] = sum_capped(from_source[ops], last, limit)
        if index == 0:
            to_sink[ops] = capped(link.device_ns, prices.tier[0], limit)
        from_source[ops][link.pinned == ON_DEVICE] = limit
        to_sink[ops][link.pinned == ON_SERVER] = limit
        if problem.op_count:
            from_source[network.offload_node[index]] = min(prices.round_trip[index], limit)
    # Every placement pays the smaller one at each node, so the sum is at most `limit` and cannot wrap.
    constant = int(np.minimum(from_source, to_sink).sum())
    return PricedTiers(network, capacity, from_source - to_sink, constant, limit)


def simple_tiers(network: TierNetwork) -> list[IntArray]:
    """Placements that need no search, int64[n] each: every op as far as it may be; all on one tier, where allowed."""
    problem = network.problem
    uniform = (np.full(problem.op_count, tier, dtype=np.int64) for tier in range(problem.tier_count))
    return [network.feasible, *(tier for tier in uniform if problem.violation(tier) is None)]


def _check_prices(problem: TierProblem, prices: TierPrices) -> None:
    for name, given, expected in zip(prices._fields, prices, (problem.tier_count, *[len(problem.links)] * 3), strict=True):
        if len(given) != expected:
            raise MincutError(f"{name} has {len(given)} prices, expected {expected}")
        if min(given) < 0:
            raise MincutError(f"prices must not be negative, got {name}={given}")
