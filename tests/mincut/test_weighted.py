"""The optimum at weights of any size, against every closed set and against minimum cuts at integer prices."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, small_problem, to_problem
from mincut.codecs import make_codecs
from mincut.errors import InfeasibleError
from mincut.problem import Problem
from mincut.weighted import solve_weighted
from tests.oracles.brute_force import closed_sets

AMOUNTS = [0, 1, 100, 12_345, 10**6, 10**10, 10**14]
WEIGHTS = [1e-12, 1e-9, 1e-3, 1.0, 400.0, 1e6, 1e12, 8e17]


def test_the_optimum_against_every_closed_set() -> None:
    rng, found = random.Random(1), 0
    for _ in range(150):
        plain = small_problem(rng, 8, amounts=AMOUNTS)
        weights = [rng.choice(WEIGHTS) for _ in range(4)] + [rng.choice([0.0, *WEIGHTS])]
        costs = closed_sets(plain).features.astype(float) @ np.array(weights)
        if not len(costs) or min(costs) == 0:
            continue
        found += 1
        placement = solve_weighted(to_problem(plain), weights, float(rng.choice([min(costs), max(costs)])))
        assert placement.gap < 1e-9 or placement.cost == 0
        assert placement.cost == pytest.approx(min(costs), rel=1e-9)
    assert found > 50


def test_with_codecs_it_is_as_without_where_each_has_one() -> None:
    rng = random.Random(2)
    plain = network_shaped(rng, 60)
    problem = to_problem(plain)
    forms = make_codecs([[(int(size), 0, 0), (int(size) // 4, 50, 60)] for size in problem.wire_bytes])
    both = Problem(**{**vars(problem), "codecs": forms})
    weights = (1.0, 1.0, 1e3, 1e3, 0.0)
    known = float(problem.features(np.ones(problem.op_count, dtype=np.bool_)).cost([1, 1, 1000, 1000, 0]))
    without, withal = solve_weighted(problem, weights, known), solve_weighted(both, weights, known)
    assert without.codec is None and withal.codec is not None
    assert withal.cost <= without.cost
    assert both.features(withal.on_device, withal.codec).cost([1, 1, 1000, 1000, 0]) == pytest.approx(withal.cost, rel=1e-12)


def test_contradictions_are_told() -> None:
    rng = random.Random(3)
    while True:
        plain = small_problem(rng, 8, stuck=0.5)
        if not len(closed_sets(plain).features):
            break
    with pytest.raises(InfeasibleError):
        solve_weighted(to_problem(plain), (1.0, 1.0, 1.0, 1.0, 1.0), 1.0)
