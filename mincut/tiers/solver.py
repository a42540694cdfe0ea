"""`solve_tiers`: network and prices to the cheapest placement on tiers. Loads numba at the first call, not at import."""

from __future__ import annotations

import numpy as np

from mincut.codecs import cheapest_codecs
from mincut.errors import MincutError
from mincut.solver import flow_kernel
from mincut.tiers.network import TierNetwork, build_tiers, price_tiers
from mincut.tiers.placement import TierPlacement
from mincut.tiers.problem import TierPrices, TierProblem


def solve_tiers(problem: TierProblem | TierNetwork, prices: TierPrices, *, known_cost: int | None = None) -> TierPlacement:
    """The cheapest placement under the given prices, with a maximum flow as witness.

    Args:
        problem: a `TierProblem`, or its `TierNetwork` when many prices are to be solved.
        known_cost: what some allowed placement costs at these prices; it lets prices be finer, see `price_tiers`.

    Raises:
        InfeasibleError: no placement is allowed.
        MincutError: prices of another number of tiers, negative ones, or too large ones.
    """
    network = build_tiers(problem) if isinstance(problem, TierProblem) else problem
    priced = price_tiers(network, prices, known_cost)
    capacity, terminal = priced.capacity.copy(), priced.terminal.copy()
    near = np.zeros(network.node_count, dtype=np.bool_)
    flow = flow_kernel()(network.start, network.arc_head, network.reverse, capacity, terminal, near)
    links = network.problem.links
    tier = np.zeros(network.problem.op_count, dtype=np.int64)
    for first in network.first_node:
        tier += ~near[first : first + network.problem.op_count]
    codecs = tuple(
        None if link.codecs is None else cheapest_codecs(link.codecs, prices.link(index), priced.limit)
        for index, link in enumerate(links)
    )
    features = network.problem.features(tier, codecs)
    cost = features.cost(prices)
    if cost != flow + priced.constant:
        raise MincutError(
            f"Bug: the kernel found a flow of {flow + priced.constant} but its tiers cost {cost}; please report this"
        )
    return TierPlacement(tier, codecs, features, prices, cost, priced.capacity - capacity, priced.terminal - terminal)
