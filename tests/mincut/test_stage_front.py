"""The front of stages equals brute force over every closed set and every choice of codecs, and none of it can be left out."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.harness.random_problems import AMOUNTS, network_shaped, small_problem_with_codecs, to_problem
from mincut.errors import InfeasibleError, MincutError, TooManyError
from mincut.lower_envelope import PriceBox
from mincut.oracle import Candidate
from mincut.problem import BoolArray, Problem, make_problem
from mincut.stage_front import StageBox, StageFront, minimal, stage_front
from tests.mincut.test_codecs import MODERATE
from tests.oracles.codec_brute_force import closed_sets_with_codecs

ONE = (Fraction(1), Fraction(1))
PROFILED = StageBox((ONE, ONE, (Fraction(1, 10), Fraction(10_000)), (Fraction(1, 100), Fraction(10_000))))


def any_box(rng: random.Random) -> StageBox:
    def any_range() -> tuple[Fraction, Fraction]:
        low, high = sorted(10 ** rng.uniform(-3, 3) for _ in range(2))
        return Fraction(low), Fraction(high if rng.random() < 0.8 else low)

    return StageBox((any_range(), any_range(), any_range(), any_range()))


def prices_in(rng: random.Random, box: StageBox) -> list[float]:
    def any_price(low: float, high: float) -> float:
        return rng.choice((low, high, low * (high / low) ** rng.random()))

    return [any_price(float(low), float(high)) for low, high in box.ranges]


def intervals(prices: list[float], amounts: np.ndarray) -> np.ndarray:
    return (amounts * np.array(prices)).max(axis=1)


@pytest.mark.parametrize("amounts", [AMOUNTS, MODERATE])
def test_no_closed_set_under_any_codecs_has_a_shorter_interval_anywhere(amounts: list[int]) -> None:
    rng, solved = random.Random(71), 0
    for index in range(150):
        plain, codecs, problem = small_problem_with_codecs(rng, 6, amounts)
        truth = closed_sets_with_codecs(plain, codecs)
        box = PROFILED if index % 2 else any_box(rng)
        try:
            found = stage_front(problem, box)
        except InfeasibleError:
            assert not len(truth.features)
            continue
        solved += 1
        _check_counted(problem, found)
        for prices in [_where_best(box, row) for row in truth.features[:, :4]] + [prices_in(rng, box) for _ in range(20)]:
            shortest = intervals(prices, truth.features[:, :4]).min()
            assert intervals(prices, found.amounts).min() <= shortest * (1 + 1e-12)
    assert solved > 100


def _check_counted(problem: Problem, found: StageFront) -> None:
    for side, codec, amounts in zip(found.placements, found.codecs, found.amounts, strict=True):
        assert problem.violation(side) is None
        assert list(problem.features(side, codec)[:4]) == amounts.tolist()


def _where_best(box: StageBox, row: np.ndarray) -> list[float]:
    """The prices of the theorem, at which a placement is better than all that do not cover it."""
    least = max(float(low) * amount for (low, _), amount in zip(box.ranges, row.tolist(), strict=True))
    return [
        min(max(least / amount if amount else float(high), float(low)), float(high))
        for (low, high), amount in zip(box.ranges, row.tolist(), strict=True)
    ]


def test_each_placement_of_a_front_is_better_than_all_others_somewhere() -> None:
    rng, several = random.Random(72), 0
    for index in range(60):
        problem = to_problem(network_shaped(rng, 20))
        box = PROFILED if index % 2 else any_box(rng)
        found = stage_front(problem, box)
        several += len(found.amounts) > 2
        for place, row in enumerate(found.amounts):
            costs = intervals(_where_best(box, row), found.amounts)
            others = np.delete(costs, place)
            # Where floats tie, they tie by rounding alone.
            assert not len(others) or costs[place] <= others.min() * (1 + 1e-12)
            assert not len(others) or costs[place] < others.min() or _ties(box, found.amounts, place)
    assert several > 20


def _ties(box: StageBox, amounts: np.ndarray, index: int) -> bool:
    clipped = box.clipped(amounts)
    return bool((np.abs(np.delete(clipped, index, axis=0) - clipped[index]) <= 1e-9 * clipped.max() + 1).all(axis=1).any())


def test_known_placements_and_alternatives_change_nothing_but_the_work() -> None:
    rng = random.Random(73)
    for _ in range(20):
        problem = to_problem(network_shaped(rng, 25))
        found = stage_front(problem, PROFILED)
        known = [
            Candidate(side, codec, problem.features(side)) for side, codec in zip(found.placements, found.codecs, strict=True)
        ]
        again = stage_front(problem, PROFILED, known=known, alternatives=[problem, problem])
        assert PROFILED.clipped(again.amounts).tolist() == PROFILED.clipped(found.amounts).tolist()
        assert again.partial <= 2 * found.partial


def test_a_single_condition_leaves_one_placement() -> None:
    rng = random.Random(74)
    for _ in range(20):
        problem = to_problem(network_shaped(rng, 25))
        prices = prices_in(rng, any_box(rng))
        exact = [Fraction(price) for price in prices]
        point = StageBox(((exact[0],) * 2, (exact[1],) * 2, (exact[2],) * 2, (exact[3],) * 2))
        alone = stage_front(problem, point)
        assert len(alone.placements) == 1
        around = stage_front(problem, StageBox(tuple((price / 2, price * 2) for price in exact)))  # type: ignore[arg-type]
        assert intervals(prices, alone.amounts)[0] == pytest.approx(intervals(prices, around.amounts).min())


def test_a_box_of_prices_becomes_one_of_stages() -> None:
    box = PriceBox(
        (Fraction(1), Fraction(2)), (Fraction(3), Fraction(4)), (Fraction(5), Fraction(6)), (Fraction(1, 2), Fraction(1))
    )
    assert StageBox.of(box).ranges[3] == (Fraction(5, 2), Fraction(6))


def test_minimal_rows_are_those_that_no_other_covers() -> None:
    rng = np.random.default_rng(75)
    for _ in range(50):
        points = rng.integers(0, 5, size=(rng.integers(0, 30), rng.integers(1, 5)))
        kept = minimal(points).tolist()
        for index, point in enumerate(points):
            covering = [other for other in range(len(points)) if (points[other] <= point).all() and other != index]
            worse = [other for other in covering if (points[other] < point).any() or other < index]
            assert (index in kept) == (not worse)


def test_too_many_partial_placements_are_refused() -> None:
    with pytest.raises(TooManyError, match="ops 0 to 7 have more than 5 partial placements"):
        stage_front(_independent(8), PROFILED, most_partial=5)


def _independent(count: int) -> Problem:
    """Ops without order, each with a price of its own: every one of 2^count sides is on the front."""
    tensors = [(-1, [op], 2**op) for op in range(count)]
    return make_problem([2 ** (count + op) for op in range(count)], [0] * count, tensors)


def test_ops_without_order_have_every_side_on_their_front() -> None:
    found = stage_front(_independent(6), PROFILED)
    sides = {side.tobytes() for side in found.placements}
    assert len(sides) == 2**6


def test_contradicting_pins_are_refused() -> None:
    problem = make_problem([1, 1], [1, 1], [(0, [1], 1)], pinned=[2, 1])
    with pytest.raises(InfeasibleError):
        stage_front(problem, PROFILED)


def test_pins_and_tensors_that_stay_are_kept() -> None:
    problem = make_problem(
        [5, 5, 5], [1, 1, 1], [(-1, [0], 9), (0, [1], 9), (1, [2], 9)], pinned=[1, 0, 0], may_cross=[True, False, True]
    )
    sides: list[BoolArray] = list(stage_front(problem, PROFILED).placements)
    assert all(side[0] and side[1] for side in sides)
    assert issubclass(TooManyError, MincutError)
