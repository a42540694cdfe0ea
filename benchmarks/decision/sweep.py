"""One problem under many prices, where each minimum cut starts from the flow of the one before: what would that gain?

If no price falls from one to the next, no capacity does, so a maximum flow stays a flow and only what is new has to be
pushed (Gallo, Grigoriadis & Tarjan 1989 in spirit; here any of the five prices may rise). Prices are put in such an order
first; where none exists, a new chain starts from zero. All of a chain share the finite infinity of its last and dearest
prices: what that one forbids costs more than a placement that is known for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index, le

import numpy as np

from benchmarks.decision.rising_capacities import grow
from mincut.codecs import crossing_costs
from mincut.errors import MincutError
from mincut.network import Network, build, source_costs
from mincut.problem import LARGEST_COST, BoolArray, Features, Prices, Problem
from mincut.scaling import simple_placements
from mincut.solver import flow_kernel


def sweep(problem: Problem | Network, conditions: Sequence[Prices]) -> list[tuple[BoolArray, int]]:
    """The cheapest placement for each of many prices.

    Quick where the prices have one scale, so that, say, 100 bandwidths differ in the prices of the links alone: scale the
    weights of all by one number, the one that suits the dearest.

    Args:
        problem: a `Problem`, or its `Network` for several sweeps, quickest `without_implied_arcs` (mincut.implied_arcs).
        conditions: prices in any order.

    Returns:
        On_device (bool[n]) and cost for each, in the order given: exactly what `mincut.solver.solve` finds.

    Raises:
        InfeasibleError: no placement is allowed.
        MincutError: prices that are negative or too large.
    """
    network = build(problem) if isinstance(problem, Problem) else problem
    for prices in conditions:
        if min(prices) < 0:
            raise MincutError(f"prices must not be negative, got {prices}")
    known = simple_placements(network.problem, network.feasible)
    found: list[tuple[BoolArray, int] | None] = [None] * len(conditions)
    for chain in _rising_chains(conditions):
        answers = _along(network, known, [conditions[place] for place in chain])
        for place, answer in zip(chain, answers, strict=True):
            found[place] = answer
    return [answer for answer in found if answer is not None]


def _rising_chains(conditions: Sequence[Prices]) -> Iterator[list[int]]:
    """Indices in runs along which no price falls."""
    chain: list[int] = []
    for place in sorted(range(len(conditions)), key=conditions.__getitem__):
        if chain and not all(map(le, conditions[chain[-1]], conditions[place])):
            yield chain
            chain = []
        chain.append(place)
    if chain:
        yield chain


def _along(network: Network, known: list[Features], chain: list[Prices]) -> Iterator[tuple[BoolArray, int]]:
    problem, run = network.problem, flow_kernel()
    dearest = min(features.cost(chain[-1]) for features in known)
    if dearest >= LARGEST_COST:
        raise MincutError(f"a placement costs {dearest}, which must stay below 2^60: scale the prices down")
    capacity = np.zeros(len(network.arc_head), dtype=np.int64)
    terminal = np.zeros(network.node_count, dtype=np.int64)
    if max(chain[-1]) > dearest:
        # A price above the limit makes whatever it multiplies forbidden, just as the limit itself does.
        chain = [Prices(*(min(price, dearest + 1) for price in prices)) for prices in chain]
    forms, limit = problem.forms, dearest + 1
    capped = [tuple(map(index, prices)) for prices in chain]
    before, cost = capped[0], 0
    crossing_before = crossing_costs(forms, before, limit)
    source_before = source_costs(network, crossing_before, limit)
    for step, after in enumerate(capped):
        crossing_after = crossing_costs(forms, after, limit)
        source_after = source_costs(network, crossing_after, limit)
        cost += grow(
            problem.device_ns,
            problem.server_ns,
            problem.download_bytes,
            problem.pinned,
            network.arc_tensor,
            crossing_before,
            crossing_after,
            source_before,
            source_after,
            step == 0,
            before,
            after,
            limit,
            capacity,
            terminal,
        )
        on_source_side = np.empty(network.node_count, dtype=np.bool_)
        cost += run(network.start, network.arc_head, network.reverse, capacity, terminal, on_source_side)
        before, crossing_before, source_before = after, crossing_after, source_after
        yield on_source_side[: problem.op_count], cost
