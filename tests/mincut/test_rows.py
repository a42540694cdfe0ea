"""Rows count what a placement has, the five features among them, and their sums are exact at any size."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.harness.bounded_oracles import amount_of, crossing_tensors, placements
from benchmarks.harness.random_bounds import bounded_problem, to_rows
from mincut.certificate import certify
from mincut.errors import BadProblemError, InfeasibleError
from mincut.network import build, price_row
from mincut.problem import Prices, make_problem
from mincut.rows import Row, amount, combined, feature_rows, priced, row_of
from mincut.solver import solve


def test_amounts_equal_those_counted_from_lists() -> None:
    rng = random.Random(1510)
    for _ in range(100):
        plain, cost, _ = bounded_problem(rng, 5)
        problem, (row,) = to_rows(plain, [cost])
        for side in placements(plain):
            chosen = [(tensor, rng.randrange(len(cost.crossing[tensor]))) for tensor in crossing_tensors(plain, side)]
            codec = np.zeros(problem.tensor_count, dtype=np.int64)
            for tensor, form in chosen:
                codec[tensor] = form
            assert amount(problem, row, np.array(side), codec) == amount_of(cost, side, chosen)


def test_features_are_rows_and_prices_their_weights() -> None:
    codecs = [[(9, 0, 0), (4, 2, 1)], [(8, 0, 0)]]
    problem = make_problem([5, 7], [3, 2], [(-1, [0], 9), (0, [1], 8)], download_bytes=[0, 6], codecs=codecs)
    at = Prices(2, 3, 5, 7, 11)
    rows = feature_rows(problem)
    cost, codec = combined("cost", rows, at), np.array([1, 0])
    for side in ([False, False], [True, False], [True, True]):
        features = problem.features(np.array(side), codec)
        assert tuple(amount(problem, row, np.array(side), codec) for row in rows) == features
        assert amount(problem, cost, np.array(side), codec) == features.cost(at)
    same = priced(problem, at, 10**6)
    assert all((getattr(cost, name) == getattr(same, name)).all() for name in ("on_device", "on_server", "crossing"))
    assert cost.once == same.once == 11


def test_the_least_of_a_row_is_a_minimum_cut() -> None:
    rng = random.Random(1511)
    for _ in range(100):
        plain, cost, _ = bounded_problem(rng, 6)
        problem, (row,) = to_rows(plain, [cost])
        try:
            network = build(problem)
        except InfeasibleError:
            continue
        # The same as a problem of its own, at prices of 1.
        crossing = [[(entry, 0, 0) for entry in each] for each in cost.crossing]
        tensors = [(producer, readers, 0) for producer, readers, _, _ in plain.tensors]
        own = make_problem(cost.on_device, cost.on_server, tensors, pinned=plain.pinned, codecs=crossing or None,
                           may_cross=[may_cross for *_, may_cross in plain.tensors])  # fmt: skip
        expected = solve(own, Prices(1, 1, 1, 0, cost.once))
        certify(build(own), expected)
        filled, limit = price_row(network, row, expected.cost + 1), expected.cost + 1
        assert filled.limit == limit
        assert (filled.terminal == price_row(build(own), row, limit).terminal).all()


def test_sums_are_exact_and_round_down() -> None:
    rng = random.Random(1512)
    for size in (10, 2**30, 2**60):

        def draw(count: int, size: int = size) -> np.ndarray:
            return np.array([rng.randint(0, size) for _ in range(count)], dtype=np.int64)

        rows = [Row("a", draw(5), draw(5), draw(3), rng.randint(0, size)) for _ in range(3)]
        weights = [rng.randint(0, 2**45) for _ in rows]
        divisor = max(3 * size * 2**45 // 2**50, 1)
        found = combined("sum", rows, weights, divisor=divisor)
        for name in ("on_device", "on_server", "crossing"):
            exact = [sum(w * v for w, v in zip(weights, column, strict=True)) for column in
                     zip(*(getattr(row, name).tolist() for row in rows), strict=True)]  # fmt: skip
            assert getattr(found, name).tolist() == [min(value // divisor, 2**60) for value in exact]
        once = sum(weight * row.once for weight, row in zip(weights, rows, strict=True))
        assert found.once == min(once // divisor, 2**60)


def test_rows_that_are_none_are_refused_by_name() -> None:
    problem = make_problem([1, 2], [1, 1], [(0, [1], 3)])
    with pytest.raises(BadProblemError, match="on_device of the row 'weights' must be an int64 array of 2 entries"):
        row_of(problem, "weights", on_device=np.array([1]))
    with pytest.raises(BadProblemError, match="crossing of the row 'sent' must lie in"):
        row_of(problem, "sent", crossing=np.array([-1]))
    with pytest.raises(BadProblemError, match="once of the row 'offloads'"):
        row_of(problem, "offloads", once=-1)
