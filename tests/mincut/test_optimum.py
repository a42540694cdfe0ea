"""`solve` finds the optimum: against brute force, against networkx, and by its own certificate."""

from __future__ import annotations

import random

import maxflow
import numpy as np
from hypothesis import given, settings

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, prices, problems, random_prices, small_problem, to_problem
from mincut.certificate import certify
from mincut.errors import InfeasibleError
from mincut.network import build, price
from mincut.problem import Prices
from mincut.solver import solve
from tests.oracles import networkx_flow
from tests.oracles.brute_force import closed_sets


def check_against_brute_force(plain: PlainProblem, at: Prices) -> bool:
    """Return whether there was anything to place."""
    expected = closed_sets(plain).cheapest(at)
    try:
        network = build(to_problem(plain))
    except InfeasibleError:
        assert expected is None
        return False
    placement = solve(network, at)
    certify(network, placement)
    assert placement.cost == expected
    return True


def test_ten_thousand_random_dags_equal_brute_force() -> None:
    rng, placed = random.Random(20220718), 0
    for _ in range(10_000):
        # Amounts up to 1e12 times prices up to 1e5 would leave int64; such prices are refused, see below.
        plain = small_problem(rng, amounts=[0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9])
        placed += check_against_brute_force(plain, random_prices(rng))
    assert placed > 10_000 / 2


@settings(max_examples=300, deadline=None)
@given(plain=problems(), at=prices())
def test_any_dag_equals_brute_force(plain: PlainProblem, at: Prices) -> None:
    check_against_brute_force(plain, at)


def test_three_hundred_larger_dags_equal_networkx() -> None:
    rng, number = random.Random(400), 300
    for index in range(number):
        plain = network_shaped(rng, 10 + index * 390 // (number - 1))
        at = Prices(rng.randint(1, 20), rng.randint(1, 40), rng.randint(0, 3000), rng.randint(0, 3000), rng.randint(0, 10**8))
        network = build(to_problem(plain))
        placement = solve(network, at)
        certify(network, placement)
        assert placement.cost == networkx_flow.cheapest(plain, at)


def test_pymaxflow_finds_the_same_flow() -> None:
    """Its own C++ on our arcs: checks the kernels, not the formulation."""
    rng = random.Random(77)
    for _ in range(150):
        network = build(to_problem(network_shaped(rng, rng.randint(5, 300))))
        # Its integer graphs are 32 bits wide in some builds; floats are exact below 2^53.
        at = Prices(rng.randint(1, 20), rng.randint(1, 40), rng.randint(0, 300), rng.randint(0, 300), rng.randint(0, 10**6))
        priced = price(network, at)
        graph = maxflow.GraphFloat()
        nodes = graph.add_nodes(network.node_count)
        tails = np.repeat(np.arange(network.node_count), np.diff(network.start))
        for arc in np.flatnonzero(np.arange(len(network.reverse)) < network.reverse).tolist():
            back = int(network.reverse[arc])
            graph.add_edge(
                nodes[tails[arc]], nodes[network.arc_head[arc]], float(priced.capacity[arc]), float(priced.capacity[back])
            )
        for node, terminal in enumerate(priced.terminal.tolist()):
            graph.add_tedge(nodes[node], float(max(terminal, 0)), float(max(-terminal, 0)))
        assert graph.maxflow() + priced.constant == solve(network, at).cost


def test_among_equally_cheap_placements_the_one_with_least_on_the_device_is_chosen() -> None:
    rng, tied = random.Random(3), 0
    for _ in range(500):
        plain = small_problem(rng, 8, amounts=[0, 1, 2])
        at = Prices(1, 1, 1, 1, rng.choice([0, 1]))
        sets = closed_sets(plain)
        if sets.cheapest(at) is None:
            continue
        cheapest = sets.on_device[(sets.features * at).sum(axis=1) == sets.cheapest(at)]
        chosen = solve(to_problem(plain), at).on_device
        tied += len(cheapest) > 1
        assert chosen.sum() == cheapest.sum(axis=1).min()
        assert (~chosen | cheapest).all(), "the smallest one lies inside every other"
    assert tied > 50


def test_amounts_near_the_limit_do_not_wrap() -> None:
    rng, large = random.Random(61), 0
    for _ in range(300):
        plain = small_problem(rng, 7, amounts=[0, 1, 2**47, 2**48 - 1])
        at = Prices(*(rng.choice([0, 1, 2**8]) for _ in range(3)), 2**30, 2**60)
        expected = closed_sets(plain).cheapest(at)
        if expected is None or expected >= 2**59:
            continue
        placement = solve(to_problem(plain), at)
        assert placement.cost == expected
        large += expected > 2**47
    assert large > 100
