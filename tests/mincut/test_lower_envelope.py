"""The envelope holds an optimal placement for every condition in the box, and nothing that is never needed."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, price_box, small_problem, to_problem, weights_inside
from benchmarks.harness.scaled_prices import scaled_prices
from mincut.certificate import certify
from mincut.errors import InfeasibleError, MincutError
from mincut.lower_envelope import PriceBox, downloads_are_constant, envelope
from mincut.network import build
from mincut.solver import solve
from tests.draws import draws
from tests.oracles.brute_force import closed_sets

MODERATE = [0, 1, 2, 7, 100, 12_345, 10**6, 10**8]


def cost(features: np.ndarray | tuple[int, ...], weights: tuple[Fraction, ...]) -> Fraction:
    return sum((int(amount) * weight for amount, weight in zip(features, weights, strict=True)), Fraction(0))


def test_no_closed_set_beats_the_envelope_anywhere_in_the_box() -> None:
    rng, tested = random.Random(10), 0
    for _ in range(draws(500)):
        plain = small_problem(rng, 8, amounts=MODERATE)
        sets, box = closed_sets(plain), price_box(rng)
        try:
            found = envelope(to_problem(plain), box)
        except InfeasibleError:
            assert not len(sets.features)
            continue
        tested += 1
        assert found.complete
        assert found.gap < 1e-6
        distinct = np.unique(sets.features, axis=0)
        for _ in range(20):
            weights = weights_inside(rng, box)
            best = min(cost(features, weights) for features in distinct)
            known = min(cost(features, weights) for features in found.features)
            assert known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
    assert tested > draws(500) / 2


def test_the_stated_gap_holds_and_is_small_even_when_costs_span_twelve_decades() -> None:
    rng, tested = random.Random(16), 0
    box = PriceBox(
        (Fraction(1, 2), Fraction(10)),
        (Fraction(1, 4), Fraction(50)),
        (Fraction(1), Fraction(10**5)),
        (Fraction(1, 10), Fraction(1)),
    )
    for _ in range(120):
        plain = small_problem(rng, 8)
        try:
            found = envelope(to_problem(plain), box)
        except InfeasibleError:
            continue
        tested += 1
        assert found.complete
        assert found.gap < 1e-4
        distinct = np.unique(closed_sets(plain).features, axis=0)
        for _ in range(10):
            weights = weights_inside(rng, box)
            best = min(cost(features, weights) for features in distinct)
            known = min(cost(features, weights) for features in found.features)
            assert known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
    assert tested > 60


def test_every_placement_is_best_somewhere() -> None:
    rng, tested = random.Random(11), 0
    for _ in range(100):
        problem = to_problem(network_shaped(rng, rng.randint(5, 60)))
        found = envelope(problem, price_box(rng))
        for index, features in enumerate(found.features):
            if found.placements[index].all():
                continue  # kept whatever the box, because the offload price is open
            tested += 1
            others = [other for place, other in enumerate(found.features) if place != index]
            assert (
                any(all(features.cost(prices) <= other.cost(prices) * (1 + 1e-7) for other in others) for prices in found.rays)
                or not others
            )
    assert tested > 100


def test_networks_of_hundreds_of_ops_equal_independent_minimum_cuts() -> None:
    rng = random.Random(12)
    for _ in range(30):
        problem = to_problem(network_shaped(rng, rng.randint(50, 400)))
        box = price_box(rng)
        found, network = envelope(problem, box), build(problem)
        for _ in range(30):
            prices = scaled_prices(network, weights_inside(rng, box))
            placement = solve(network, prices)
            certify(network, placement)
            known = min(features.cost(prices) for features in found.features)
            assert placement.cost <= known <= placement.cost * (1 + 1e-7)


def test_one_dimension_gives_nested_sets_when_the_device_is_never_faster() -> None:
    # Gallo, Grigoriadis & Tarjan 1989
    rng = random.Random(13)
    one = (Fraction(1), Fraction(1))
    for _ in range(50):
        plain = network_shaped(rng, rng.randint(10, 120))
        slower = PlainProblem(
            [max(pair) for pair in zip(plain.device_ns, plain.server_ns, strict=True)],
            plain.server_ns,
            plain.download_bytes,
            plain.pinned,
            plain.tensors,
        )
        found = envelope(to_problem(slower), PriceBox(one, one, (Fraction(1, 10), Fraction(10**5)), one))
        sides = sorted(found.placements, key=lambda side: side.sum())
        assert all((~small | large).all() for small, large in pairwise(sides))


def test_a_spent_budget_is_said_aloud_with_a_gap_that_holds() -> None:
    rng = random.Random(15)
    for _ in range(draws(20)):
        problem = to_problem(network_shaped(rng, 60))
        box = PriceBox(
            (Fraction(1), Fraction(9)), (Fraction(1), Fraction(9)), (Fraction(1), Fraction(10**4)), (Fraction(1),) * 2
        )
        whole = envelope(problem, box)
        assert whole.complete
        network = build(problem)
        gaps = []
        for budget in range(1, whole.solves, 2):
            stopped = envelope(problem, box, most_solves=budget)
            assert not stopped.complete
            assert stopped.solves == budget
            gaps.append(stopped.gap)
            for _ in range(10):
                prices = scaled_prices(network, weights_inside(rng, box))
                known = min(features.cost(prices) for features in stopped.features)
                best = min(features.cost(prices) for features in whole.features)
                assert known <= best * (1 + stopped.gap) * (1 + 1e-9)
        assert min(gaps) < float("inf")


def test_constant_downloads_are_recognised() -> None:
    rng = random.Random(14)
    seen = {True: 0, False: 0}
    for _ in range(2000):
        plain = small_problem(rng, 6, amounts=[0, 1, 5])
        sets = closed_sets(
            PlainProblem(
                plain.device_ns,
                plain.server_ns,
                plain.download_bytes,
                [0] * plain.op_count,
                [(producer, readers, size, True) for producer, readers, size, _ in plain.tensors],
            )
        )
        offloading = sets.features[sets.features[:, 4] == 1]
        claimed = downloads_are_constant(to_problem(plain))
        if claimed:
            assert len(np.unique(offloading[:, 3])) <= 1
        seen[claimed] += 1
    assert min(seen.values()) > 100


def test_a_box_upside_down_is_refused() -> None:
    one = (Fraction(1), Fraction(1))
    with pytest.raises(MincutError, match="upload"):
        PriceBox(one, one, (Fraction(2), Fraction(1)), one)
