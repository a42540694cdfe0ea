"""The other solvers answer the same question: on any problem they all find what brute force or our solver finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, random_prices, small_problem, to_problem
from benchmarks.peers import solvers
from benchmarks.peers.dads import dads, flowback
from benchmarks.peers.formulation import features, formulate
from benchmarks.peers.two_stage import cut_vertices, two_stage
from mincut.network import build
from mincut.problem import Prices
from mincut.solver import solve
from tests.oracles.brute_force import closed_sets


@pytest.mark.parametrize("seed", range(150))
def test_the_formulation_against_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    plain, prices = small_problem(rng, 9), random_prices(rng)
    expected = closed_sets(plain).cheapest(prices)
    if expected is None:
        with pytest.raises(ValueError, match="no placement"):
            formulate(to_problem(plain))
    elif expected < 2**58:
        assert solvers.pymaxflow(formulate(to_problem(plain)))(prices) == expected


@pytest.mark.parametrize("seed", range(8))
def test_all_solvers_agree(seed: int) -> None:
    rng = random.Random(seed)
    problem = to_problem(network_shaped(rng, rng.randint(2, 80)))
    total = int(problem.device_ns.sum())
    scale = 2**50 // total
    known = (formulate(problem), scale * total + 1)
    ready = [solvers.networkx(*known, name) for name in solvers.NETWORKX_ALGORITHMS]
    ready += [solvers.networkx_minimum_cut(*known), solvers.python_igraph(*known), solvers.pymaxflow(*known)]
    ready.append(two_stage(problem, known[1]))
    in_32_bits = solvers.scipy(*known)
    network = build(problem)
    for uplink_bps in (1e5, 3e6, 2e7, 1e9, 3e6):
        up = round(8e9 / uplink_bps * scale)
        prices = Prices(scale, scale, up, up // 2, rng.choice([0, 10**7 * scale]))
        expected = solve(network, prices).cost
        assert [method(prices) for method in ready] == [expected] * len(ready)
        assert in_32_bits(prices) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_features_and_flowback_count_what_they_say(seed: int) -> None:
    rng = random.Random(seed)
    problem = to_problem(network_shaped(rng, 30))
    side = solve(problem, Prices(1, 1, 40, 40, 0)).on_device
    assert features(problem, side) == tuple(problem.features(side))
    assert not flowback(problem).any(side)
    flipped = np.ones(problem.op_count, dtype=np.bool_)
    flipped[0] = False
    assert flowback(problem).any(flipped) and flowback(problem).bytes(flipped) > 0


def test_dads_lets_data_flow_back() -> None:
    """The published capacities put a producer on the server and its reader on the device, uncharged."""
    from mincut.problem import make_problem

    # The second op is much faster on the device; nothing but the missing arc speaks against sending its input's producer away.
    problem = make_problem([100, 1, 100], [1, 100, 1], [(-1, [0], 1), (0, [1], 50), (1, [2], 1)])
    side = dads(problem).cut(Prices(1, 1, 1, 1, 0), 10**6)
    assert side.tolist() == [False, True, False]
    assert flowback(problem).bytes(side) == 50


def test_cut_vertices_are_those_that_every_path_passes() -> None:
    from mincut.problem import make_problem

    diamond = make_problem([1] * 5, [1] * 5, [(-1, [0], 1), (0, [1, 2], 1), (1, [3], 1), (2, [3], 1), (3, [4], 1)])
    assert cut_vertices(diamond) == [0, 3, 4]
    with_skip = make_problem([1] * 3, [1] * 3, [(-1, [0, 2], 1), (0, [1], 1), (1, [2], 1)])
    assert cut_vertices(with_skip) == [2]
