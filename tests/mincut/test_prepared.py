"""A prepared problem answers what `solve` answers, whatever the costs, and refuses what `solve` refuses."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import (
    network_shaped,
    prices,
    problems,
    random_prices,
    small_chain,
    small_problem,
    to_problem,
)
from mincut.errors import BadProblemError, InfeasibleError, MincutError
from mincut.network import build
from mincut.prepared import PreparedProblem, prepare
from mincut.problem import IntArray, Prices, Problem
from mincut.solver import solve
from tests.draws import draws

AMOUNTS = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9, 10**12, 2**48 - 1]


def drawn(rng: random.Random, count: int) -> IntArray:
    return np.array([rng.choice(AMOUNTS) for _ in range(count)], dtype=np.int64)


def assert_equal_to_solve(prepared: PreparedProblem, changed: Problem, at: Prices) -> bool:
    """Do both give the same placement and cost (True), or both refuse (False)?"""
    arguments = changed.device_ns, changed.server_ns, at, changed.wire_bytes
    try:
        expected = solve(changed, at)
    except MincutError:
        with pytest.raises(MincutError, match="scale the prices down"):
            prepared.solve(*arguments)
        return False
    on_device, cost = prepared.solve(*arguments)
    assert cost == expected.cost
    assert on_device.tolist() == expected.on_device.tolist()
    return True


def test_thousands_of_random_problems_with_costs_unlike_the_prepared_ones() -> None:
    rng = random.Random(31)
    answered = refused = 0
    for index in range(draws(2000)):
        plain = (small_chain if index % 3 == 0 else small_problem)(rng, 14, stuck=0.1)
        problem = to_problem(plain)
        try:
            prepared = prepare(problem)
        except InfeasibleError:
            with pytest.raises(InfeasibleError):
                build(problem)
            continue
        for _ in range(3):
            changed = replace(
                problem,
                device_ns=drawn(rng, problem.op_count),
                server_ns=drawn(rng, problem.op_count),
                wire_bytes=drawn(rng, problem.tensor_count),
            )
            if assert_equal_to_solve(prepared, changed, random_prices(rng)):
                answered += 1
            else:
                refused += 1
    assert answered > draws(3000)
    assert refused > draws(30)


@settings(max_examples=300, deadline=None)
@given(plain=problems(), at=prices())
def test_any_dag(plain: PlainProblem, at: Prices) -> None:
    problem = to_problem(plain)
    try:
        prepared = prepare(problem)
    except InfeasibleError:
        return
    assert_equal_to_solve(prepared, problem, at)


def test_prices_of_any_size() -> None:
    rng = random.Random(32)
    huge = [0, 1, 2**30, 2**59, 2**60, 2**61, 2**62, 2**63, 2**64, 10**30]
    answered = refused = 0
    for _ in range(2000):
        problem = to_problem(small_problem(rng, 6, amounts=[0, 0, 0, 1, 2, 2**30], stuck=0.0))
        try:
            prepared = prepare(problem)
        except InfeasibleError:
            continue
        if assert_equal_to_solve(prepared, problem, Prices(*(rng.choice(huge) for _ in range(5)))):
            answered += 1
        else:
            refused += 1
    assert min(answered, refused) > 200


def test_networks_of_hundreds_of_ops() -> None:
    rng = random.Random(33)
    for _ in range(60):
        problem = to_problem(network_shaped(rng, rng.randint(50, 800)))
        prepared = prepare(build(problem))
        for _ in range(5):
            scale = np.array([rng.randint(1, 1000) for _ in range(problem.op_count)], dtype=np.int64)
            changed = replace(problem, device_ns=problem.device_ns * scale // 100, server_ns=problem.server_ns * scale[::-1])
            at = Prices(
                rng.randint(1, 20), rng.randint(1, 40), rng.randint(0, 3000), rng.randint(0, 3000), rng.randint(0, 10**8)
            )
            on_device, cost = prepared.solve(changed.device_ns, changed.server_ns, at)
            expected = solve(changed, at)
            assert cost == expected.cost
            assert (on_device == expected.on_device).all()


def test_a_call_leaves_nothing_behind() -> None:
    rng = random.Random(34)
    problem = to_problem(network_shaped(rng, 100))
    prepared, at = prepare(problem), Prices(1, 1, 100, 100, 10**6)
    before, cost = prepared.solve(problem.device_ns, problem.server_ns, at)
    kept = before.copy()
    prepared.solve(problem.server_ns, problem.device_ns, Prices(9, 1, 0, 0, 0))
    assert (before == kept).all(), "an answer is the caller's own"
    again, same = prepared.solve(problem.device_ns, problem.server_ns, at)
    assert (again == kept).all()
    assert same == cost


@pytest.mark.parametrize("field", ["device_ns", "server_ns", "wire_bytes"])
def test_bad_arrays_are_refused_by_name(field: str) -> None:
    problem = to_problem(network_shaped(random.Random(1), 30))
    prepared = prepare(problem)
    good = {name: getattr(problem, name) for name in ("device_ns", "server_ns", "wire_bytes")}
    spoilt = [good[field].astype(np.float64), good[field][:-1], good[field].tolist(), np.repeat(good[field], 2)[::2]]
    for value in (-1, 2**48, 2**63 - 1, -(2**63)):
        array = good[field].copy()
        array[3] = value
        spoilt.append(array)
    for array in spoilt:
        with pytest.raises(BadProblemError, match=field):
            prepared.solve(**{**good, field: array}, prices=Prices(1, 1, 1, 1, 1))


def test_amounts_that_sum_to_too_much_are_refused() -> None:
    ops = 2**14 + 1
    problem = to_problem(PlainProblem([1] * ops, [1] * ops, [0] * ops, [0] * ops, []))
    prepared, ones = prepare(problem), np.ones(ops, dtype=np.int64)
    with pytest.raises(BadProblemError, match="server_ns"):
        prepared.solve(ones, np.full(ops, 2**48 - 1, dtype=np.int64), Prices(0, 0, 0, 0, 0))


def test_negative_prices_are_refused() -> None:
    problem = to_problem(network_shaped(random.Random(1), 30))
    with pytest.raises(MincutError, match="negative"):
        prepare(problem).solve(problem.device_ns, problem.server_ns, Prices(1, 1, 1, -1, 1))


def test_a_problem_without_ops_costs_nothing() -> None:
    problem = to_problem(PlainProblem([], [], [], [], []))
    nothing = np.zeros(0, dtype=np.int64)
    on_device, cost = prepare(problem).solve(nothing, nothing, Prices(1, 1, 1, 1, 1))
    assert cost == 0
    assert len(on_device) == 0
