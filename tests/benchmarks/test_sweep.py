"""A sweep answers what `solve` answers at every price, in the order asked."""

from __future__ import annotations

import random

import pytest

from benchmarks.decision import rising_capacities
from benchmarks.decision.sweep import _rising_chains, sweep
from benchmarks.harness.random_problems import (
    network_shaped,
    random_prices,
    small_chain,
    small_problem,
    small_problem_with_codecs,
    to_problem,
)
from mincut import problem as problems
from mincut.errors import InfeasibleError, MincutError
from mincut.network import build
from mincut.problem import Prices, Problem
from mincut.solver import solve

MODERATE = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9]


def assert_equal_to_solve(problem: Problem, conditions: list[Prices]) -> bool:
    """Do both agree at all prices (True), or does `solve` refuse some and the sweep does too (False)?"""
    network = build(problem)
    try:
        expected = [solve(network, prices) for prices in conditions]
    except MincutError:
        with pytest.raises(MincutError, match="scale the prices down"):
            sweep(network, conditions)
        return False
    found = sweep(network, conditions)
    assert [cost for _, cost in found] == [placement.cost for placement in expected]
    for (on_device, _), placement in zip(found, expected, strict=True):
        assert on_device.tolist() == placement.on_device.tolist()
    return True


def test_random_problems_under_prices_in_any_order() -> None:
    rng = random.Random(51)
    for index in range(800):
        problem = to_problem((small_chain if index % 3 == 0 else small_problem)(rng, 12, amounts=MODERATE, stuck=0.1))
        conditions = [random_prices(rng) for _ in range(rng.randint(0, 6))]
        try:
            build(problem)
        except InfeasibleError:
            continue
        assert assert_equal_to_solve(problem, conditions)


def test_rising_prices_one_at_a_time() -> None:
    rng = random.Random(52)
    for _ in range(400):
        plain = small_problem(rng, 10, amounts=[0, 0, 1, 2, 7, 100, 12_345, 10**6], stuck=0.1)
        current = [rng.randint(0, 3) for _ in range(5)]
        conditions = []
        for _ in range(12):
            current[rng.randrange(5)] += rng.choice([1, 2, 50, 10**6])
            conditions.append(Prices(*current))
        problem = to_problem(plain)
        try:
            build(problem)
        except InfeasibleError:
            continue
        assert_equal_to_solve(problem, conditions)


def test_a_hundred_bandwidths_over_networks_of_hundreds_of_ops() -> None:
    rng = random.Random(53)
    for _ in range(6):
        problem = to_problem(network_shaped(rng, rng.randint(50, 500)))
        uploads = [int(10 ** rng.uniform(0, 6)) for _ in range(100)]
        conditions = [Prices(100, 300, upload, upload // 3, 10**8) for upload in uploads]
        assert assert_equal_to_solve(problem, conditions)


def test_amounts_and_prices_near_the_limit_do_not_wrap() -> None:
    rng = random.Random(54)
    answered = refused = 0
    for _ in range(600):
        problem = to_problem(small_problem(rng, 7, amounts=[0, 0, 1, 2**47, 2**48 - 1]))
        try:
            build(problem)
        except InfeasibleError:
            continue
        conditions = [
            Prices(*(rng.choice([0, 1, 2**8, 2**11]) for _ in range(3)), 2**30, rng.choice([0, 2**60, 2**70])) for _ in range(2)
        ]
        if assert_equal_to_solve(problem, conditions):
            answered += 1
        else:
            refused += 1
    assert min(answered, refused) > 50


def test_prices_of_a_sweep_form_one_chain() -> None:
    conditions = [Prices(5, 5, upload, upload, 5) for upload in (9, 2, 7, 2)]
    assert list(_rising_chains(conditions)) == [[1, 3, 2, 0]]
    for chain in _rising_chains([random_prices(random.Random(1)) for _ in range(50)]):
        assert len(chain) == len(set(chain))


def test_negative_prices_are_refused() -> None:
    problem = to_problem(network_shaped(random.Random(1), 30))
    with pytest.raises(MincutError, match="negative"):
        sweep(problem, [Prices(1, 1, 1, 1, 1), Prices(1, 1, -1, 1, 1)])


def test_a_sweep_over_codecs_answers_the_same() -> None:
    rng = random.Random(502)
    for _ in range(400):
        problem = small_problem_with_codecs(rng, 8, MODERATE)[2]
        try:
            build(problem)
        except InfeasibleError:
            continue
        assert assert_equal_to_solve(problem, [random_prices(rng) for _ in range(6)])


def test_constants_kept_in_a_closed_file_are_those_of_the_problem() -> None:
    for name in ("ON_DEVICE", "ON_SERVER"):
        assert getattr(rising_capacities, name) == getattr(problems, name)
