"""Prices of parts as conditions: latency there orders cuts as their cost here, and in the box exactly where that is said."""

from __future__ import annotations

import random

import pytest

from cic.decision.conditions import Box, Conditions
from cic.decision.equivalent import SECONDS, covered_range, equivalent, weighed
from cic.decision.splitting_model import SplittingModel
from tests.cic.hand_made import random_conditions


def drawn(rng: random.Random) -> tuple[float, float, float, float, float]:
    return tuple(10 ** rng.uniform(-2, 2) for _ in range(5))  # type: ignore[return-value]


def narrow(rng: random.Random) -> Box:
    low = 10 ** rng.uniform(5, 8)
    device, server = 10 ** rng.uniform(-1, 0), 10 ** rng.uniform(-1, 0)
    return Box(
        (low, low * 10 ** rng.uniform(0, 3)),
        (0.5, 20),
        (rng.choice([0, 0.001]), 0.5),
        (device, device * rng.uniform(1, 20)),
        (server, server * rng.uniform(1, 20)),
    )


def test_latency_under_equivalent_conditions_is_the_weighted_sum_up_to_one_factor(model: SplittingModel) -> None:
    rng, box = random.Random(70), Box()
    for _ in range(100):
        prices, conditions = drawn(rng), Conditions(*random_conditions(rng, box))
        same = equivalent(prices, conditions, box)
        ratios = [weighed(prices, cut, conditions) / cut.latency_s(same) for cut in model.cuts]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_prices_of_one_are_the_conditions_themselves_in_the_box() -> None:
    rng = random.Random(71)
    for _ in range(100):
        box = narrow(rng)
        assert box.contains(equivalent(SECONDS, Conditions(*random_conditions(rng, box)), box))


def test_the_covered_range_is_where_equivalent_conditions_lie_in_the_box() -> None:
    rng, inside, outside, none = random.Random(72), 0, 0, 0
    for _ in range(600):
        box, least, besides = narrow(rng), drawn(rng), rng.choice([SECONDS, drawn(rng)])
        conditions = Conditions(*random_conditions(rng, rng.choice([box, Box()])))
        found = covered_range(least, besides, conditions, box)
        none += found is None
        low, high = found or (1.0, 0.0)
        for weight in (0.0, *(10 ** rng.uniform(-4, 4) for _ in range(20))):
            prices = tuple(a + weight * b for a, b in zip(least, besides, strict=True))
            if abs(weight - low) < 1e-9 * low or abs(weight - high) < 1e-9 * weight:
                continue
            covered = box.contains(equivalent(prices, conditions, box))  # type: ignore[arg-type]
            assert covered == (low <= weight <= high)
            inside, outside = inside + covered, outside + (not covered)
    assert inside > 1000 and outside > 1000 and none > 50
