"""The cheapest placement, found section by section (`mincut.sections`): linear in the ops where joints are never far apart."""

from __future__ import annotations

import numpy as np

from mincut.codecs import cheapest_codecs
from mincut.errors import MincutError
from mincut.placement import Placement
from mincut.problem import LARGEST_COST, Prices
from mincut.sections import Sections, class_costs, price_sections
from mincut.solver import flow_kernel


def solve_sections(sections: Sections, prices: Prices, known_cost: int) -> Placement:
    """What `mincut.solver.solve` answers when offloading is free of charge, with a flow in `sections.network` as witness.

    Args:
        prices: with an offload price of 0.
        known_cost: what some allowed placement costs at these prices.

    Raises:
        MincutError: prices that are negative, too large or have an offload price.
    """
    if min(prices) < 0 or prices.offload:
        raise MincutError(f"prices must not be negative, and the offload price 0, got {prices}")
    if known_cost >= LARGEST_COST:
        raise MincutError(f"a placement costs {known_cost}, which must stay below 2^60: scale the prices down")
    problem, network = sections.problem, sections.network
    priced = price_sections(sections, prices, known_cost + 1)
    capacity, terminal = priced.capacity.copy(), priced.terminal.copy()
    on_source_side = np.zeros(network.node_count, dtype=np.bool_)
    run = flow_kernel()
    run(network.start, network.arc_head, network.reverse, capacity, terminal, on_source_side)
    terminal_flow = priced.terminal - terminal
    costs = class_costs(sections, priced, terminal_flow)
    cheapest = int(costs.argmin())
    on_device = on_source_side[: problem.op_count].copy()
    on_device[: sections.joints[cheapest]] = True
    on_device[sections.joints[cheapest + 1] :] = False
    codec = None if problem.codecs is None else cheapest_codecs(problem.codecs, prices, priced.limit)
    features = problem.features(on_device, codec)
    cost = features.cost(prices)
    if cost != costs[cheapest]:
        raise MincutError(
            f"Bug: the kernel found a flow worth {costs[cheapest]} in section {cheapest} but its cut costs {cost};"
            " please report this"
        )
    return Placement(on_device, codec, features, prices, cost, priced.capacity - capacity, terminal_flow)
