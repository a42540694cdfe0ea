"""`solve`: network and prices to the cheapest placement. Loads numba at the first call, not at import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from mincut.codecs import cheapest_codecs
from mincut.errors import MincutError
from mincut.network import Network, build, price
from mincut.placement import Placement
from mincut.problem import Prices, Problem

KERNELS: Mapping[str, str] = {
    "dinic": "mincut.kernels.dinic",
    "boykov_kolmogorov": "mincut.kernels.boykov_kolmogorov",
}
DEFAULT_KERNEL = "dinic"


def solve(
    problem: Problem | Network, prices: Prices, *, kernel: str = DEFAULT_KERNEL, known_cost: int | None = None
) -> Placement:
    """The cheapest placement under the given prices, with a maximum flow as witness.

    Args:
        problem: a `Problem`, or its `Network` when many prices are to be solved.
        kernel: one of `KERNELS`.
        known_cost: what some allowed placement costs at these prices; it lets prices be finer, see `network.price`.

    Raises:
        InfeasibleError: no placement is allowed.
        MincutError: prices that are negative or too large, or an unknown kernel.
    """
    network = build(problem) if isinstance(problem, Problem) else problem
    run = kernel_named(kernel)
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
            f"Bug: kernel {kernel} found a flow of {flow + priced.constant} but its cut costs {cost}; please report this"
        )
    return Placement(on_device, codec, features, prices, cost, priced.capacity - capacity, priced.terminal - terminal)


def kernel_named(name: str) -> Callable[..., int]:
    """One of `KERNELS`, compiled at its first call.

    Raises:
        MincutError: there is none of that name.
    """
    if name not in KERNELS:
        raise MincutError(f"unknown kernel {name!r}; there are {', '.join(KERNELS)}")
    run: Callable[..., int] = import_module(KERNELS[name]).run
    return run
