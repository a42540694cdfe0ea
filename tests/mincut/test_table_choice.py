"""The kept placements lose least of all choices of their size, which linear programs over the box say, solved by HiGHS."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from benchmarks.harness.random_problems import network_shaped, price_box, to_problem, weights_inside
from mincut.lower_envelope import ALL_AXES, PriceBox, envelope
from mincut.problem import Features
from mincut.table_choice import Choice, choose
from tests.draws import draws

Table = tuple[list[Features], list[int], PriceBox]
"""The placements that can be optimal in a box, and which of them is kept in any case: "everything on the device"."""


def tables(seed: int, count: int, most: int = 8) -> Iterator[Table]:
    rng, found = random.Random(seed), 0
    while found < count:
        problem, box = to_problem(network_shaped(rng, rng.randint(20, 60))), price_box(rng)
        features = list(envelope(problem, box).features)
        if 4 <= len(features) <= most:
            found += 1
            yield features, [place for place, each in enumerate(features) if not each.offloads], box


def loss_by_programs(features: Sequence[Features], kept: Collection[int], box: PriceBox) -> float:
    """What a choice loses: for each placement left out the largest quotient over the cone (Charnes & Cooper 1962)."""
    rows = np.array(features, dtype=np.float64)[:, :4]
    unit = 1 / np.maximum(rows.max(axis=0), 1)
    rows *= unit
    cone = np.array([[float(entry) for entry in row] for row in box.rows(ALL_AXES)]) * unit
    cone /= np.abs(cone).max(axis=1, keepdims=True)
    largest = 1.0
    for missing in set(range(len(features))) - set(kept):
        above = [[*-rows[each], 1.0] for each in kept]
        answer = linprog(
            [0, 0, 0, 0, -1],
            A_ub=np.array([*above, *([*-row, 0.0] for row in cone)]),
            b_ub=np.zeros(len(above) + len(cone)),
            A_eq=[[*rows[missing], 0.0]],
            b_eq=[1.0],
        )
        largest = max(largest, float(answer.x[4]))
    return largest - 1


def test_no_other_choice_of_as_many_loses_less() -> None:
    lost = 0
    for features, always, box in tables(31, draws(20)):
        for most in (2, 3):
            found = choose(features, range(len(features)), always, most, box)
            assert set(always) <= set(found.groups) and len(found.groups) <= most
            assert found.loss == pytest.approx(loss_by_programs(features, found.groups, box), rel=1e-5, abs=1e-6)
            others = [place for place in range(len(features)) if place not in always]
            least = min(loss_by_programs(features, [*always, *more], box) for more in combinations(others, most - len(always)))
            assert found.loss <= least + 1e-5 * (1 + least)
            assert found.at_least == found.loss
            lost += found.loss > 0.01
    assert lost > draws(10)


def test_nowhere_in_the_box_more_is_lost() -> None:
    rng = random.Random(32)
    for features, always, box in tables(33, draws(60), most=15):
        found = choose(features, range(len(features)), always, 3, box)
        for _ in range(50):
            weights = weights_inside(rng, box)
            costs = [sum(amount * weight for amount, weight in zip(each, weights, strict=True)) for each in features]
            kept = min(costs[group] for group in found.groups)
            assert kept <= min(costs) * (1 + Fraction(found.loss) + Fraction(1, 10**12))


def test_after_too_few_rounds_the_least_that_is_lost_lies_between() -> None:
    for features, always, box in tables(34, draws(30), most=15):
        whole = choose(features, range(len(features)), always, 3, box)
        for rounds in (1, 2):
            cut_short = choose(features, range(len(features)), always, 3, box, most_rounds=rounds)
            assert cut_short.at_least <= whole.loss <= cut_short.loss


def test_those_of_one_group_stay_together() -> None:
    for features, always, box in tables(35, draws(20)):
        # Those before the last ones two by two; "everything on the device" is alone, as it stands last.
        groups = [place // 2 for place in range(len(features))]
        if any(groups.count(groups[place]) > 1 for place in always):
            continue
        found = choose(features, groups, [groups[place] for place in always], 2, box)
        kept = [place for place, group in enumerate(groups) if group in found.groups]
        assert found.loss == pytest.approx(loss_by_programs(features, kept, box), rel=1e-5, abs=1e-6)


def test_where_all_fit_nothing_is_lost() -> None:
    for features, always, box in tables(36, 2):
        assert choose(features, range(len(features)), always, len(features), box)[1:] == (0.0, 0.0)


def test_a_placement_that_costs_nothing_is_kept() -> None:
    box = PriceBox(*[(Fraction(1), Fraction(2))] * 4)
    features = [Features(5, 0, 0, 0, 0), Features(0, 0, 0, 0, 1), Features(1, 1, 1, 1, 1)]
    assert choose(features, [0, 1, 2], [0], 2, box) == Choice((0, 1), 0.0, 0.0)
    assert choose(features, [0, 1, 2], [0], 1, box).loss == float("inf")
