"""`solve`: network and prices to the cheapest placement. Loads numba at the first call, not at import."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mincut.codecs import cheapest_codecs
from mincut.errors import MincutError
from mincut.network import Network, build, price
from mincut.placement import Placement
from mincut.problem import Prices, Problem


def solve(problem: Problem | Network, prices: Prices, *, known_cost: int | None = None) -> Placement:
    """The cheapest placement under the given prices, with a maximum flow as witness.

    Args:
        problem: a `Problem`, or its `Network` when many prices are to be solved.
        known_cost: what some allowed placement costs at these prices; it lets prices be finer, see `network.price`.

    Raises:
        InfeasibleError: no placement is allowed.
        MincutError: prices that are negative or too large.
    """
    network = build(problem) if isinstance(problem, Problem) else problem
    run = flow_kernel()
    priced = price(network, prices, known_cost)
    capacity, terminal = priced.capacity.copy(), priced.terminal.copy()
    on_source_side = np.zeros(network.node_count, dtype=np.bool_)
    flow = run(network.start, network.arc_head, network.reverse, capacity, terminal, on_source_side)
    on_device = on_source_side[: network.problem.op_count].copy()
    forms = network.problem.codecs
    codec = None if forms is None else cheapest_codecs(forms, prices, priced.limit)
    features = network.problem.features(on_device, codec)
    cost = features.cost(prices)
    if cost != flow + priced.constant:
        raise MincutError(
            f"Bug: the kernel found a flow of {flow + priced.constant} but its cut costs {cost}; please report this"
        )
    return Placement(on_device, codec, features, prices, cost, priced.capacity - capacity, priced.terminal - terminal)


def flow_kernel() -> Callable[..., int]:
    """The maximum flow that all solvers use, see `mincut.kernels.dinic.run`. Loads numba; compiled at its first call."""
    from mincut.kernels import dinic

    run: Callable[..., int] = dinic.run
    return run
