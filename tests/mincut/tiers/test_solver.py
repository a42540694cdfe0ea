"""Tiers in a row: the optimum against brute force over all nested cuts, and with two tiers against `mincut.solve`."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.harness.random_problems import random_prices, small_problem, to_problem
from benchmarks.harness.random_tiers import random_tier_prices, small_tiers, to_tier_problem
from benchmarks.harness.tier_brute_force import cheapest_tiers
from mincut import Prices, build, solve
from mincut.errors import BadProblemError, InfeasibleError, MincutError
from mincut.problem import FREE, ON_SERVER
from mincut.tiers import TierPrices, TierProblem, build_tiers, certify_tiers, first_tiers, make_tiers, solve_tiers

AMOUNTS = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9]


@pytest.mark.parametrize(("tiers", "most_ops", "draws"), [(2, 8, 60), (3, 5, 300), (4, 4, 60), (5, 3, 30)])
@pytest.mark.parametrize("with_codecs", [False, True])
def test_random_problems_equal_brute_force(tiers: int, most_ops: int, draws: int, with_codecs: bool) -> None:
    rng, placed, between = random.Random(tiers), 0, 0
    for _ in range(draws):
        plain = small_tiers(rng, tiers, most_ops, amounts=AMOUNTS, with_codecs=with_codecs)
        at = random_tier_prices(rng, tiers)
        expected = cheapest_tiers(plain, at)
        try:
            network = build_tiers(to_tier_problem(plain))
        except InfeasibleError:
            assert expected is None
            continue
        placement = solve_tiers(network, at)
        certify_tiers(network, placement)
        assert placement.cost == expected
        placed += 1
        between += bool(((placement.tier > 0) & (placement.tier < tiers - 1)).any())
    assert placed > draws / 2
    assert tiers == 2 or between > draws / 10, "tiers in between are used, too"


def test_two_tiers_are_the_two_sides_of_a_problem() -> None:
    rng, compared = random.Random(2), 0
    for _ in range(200):
        problem, at = to_problem(small_problem(rng, amounts=AMOUNTS)), random_prices(rng)
        tiers = TierProblem((problem,))
        prices = TierPrices(at[:2], at[2:3], at[3:4], at[4:5])
        try:
            expected = solve(build(problem), at)
        except InfeasibleError:
            with pytest.raises(InfeasibleError):
                build_tiers(tiers)
            continue
        placement = solve_tiers(tiers, prices)
        assert placement.cost == expected.cost
        assert (placement.tier == ~expected.on_device).all(), "the same one of equally cheap placements"
        compared += 1
    assert compared > 100


def test_a_tier_that_does_not_help_is_left_out() -> None:
    """An edge slower than the device: nothing runs there, and its links cost what forwarding over both costs."""
    problem = make_tiers([[50, 50], [90, 90], [1, 1]], [(-1, [0], 4), (0, [1], 4)], download_bytes=[0, 1])
    at = TierPrices((1, 1, 1), (2, 3), (2, 3), (7, 11))
    placement = solve_tiers(problem, at)
    assert placement.tier.tolist() == [2, 2]
    assert placement.cost == 2 + 4 * (2 + 3) + (2 + 3) + 7 + 11


def test_a_tensor_read_on_two_tiers_is_paid_once_on_each_link() -> None:
    """Op 0 makes a tensor of 8 bytes that op 1 (pinned to tier 1) and op 2 (pinned to tier 2) read."""
    problem = make_tiers([[0] * 3] * 3, [(-1, [0], 5), (0, [1, 2], 8)], lowest=[0, 1, 2], highest=[0, 1, 2])
    placement = solve_tiers(problem, TierPrices((1, 1, 1), (10, 100), (0, 0), (0, 0)))
    assert placement.features.upload_bytes == (8, 8)
    assert placement.cost == 8 * 10 + 8 * 100


def test_every_link_has_codecs_of_its_own() -> None:
    """The tensor is squeezed where the link is slow and the tiers about it are not, and crosses as it is otherwise."""
    problem = make_tiers(
        [[0, 99], [0, 99], [0, 0]], [(-1, [0], 1), (0, [1], 0)], codecs=[[[(1, 0, 0)], [(100, 0, 0), (10, 3, 4)]]] * 2,
        highest=[0, 2],
    )  # fmt: skip
    placement = solve_tiers(problem, TierPrices((1, 1, 1), (0, 1), (0, 0), (0, 0)))
    assert [None if codec is None else codec[1] for codec in placement.codecs] == [0, 1]
    assert placement.features.tier_ns == (0, 3, 4)
    assert placement.cost == 10 + 3 + 4


def test_equally_cheap_ops_are_as_far_away_as_they_may_be() -> None:
    placement = solve_tiers(make_tiers([[1], [1], [1]], []), TierPrices((1, 1, 1), (0, 0), (0, 0), (0, 0)))
    assert placement.tier.tolist() == [2]


def test_costs_that_do_not_fit_are_refused() -> None:
    problem = make_tiers([[2**40]] * 3, [])
    with pytest.raises(MincutError, match="scale the prices down"):
        solve_tiers(problem, TierPrices((2**30,) * 3, (0, 0), (0, 0), (0, 0)))
    with pytest.raises(MincutError, match="upload has 1 prices, expected 2"):
        solve_tiers(problem, TierPrices((1, 1, 1), (0,), (0, 0), (0, 0)))
    with pytest.raises(MincutError, match="must not be negative"):
        solve_tiers(problem, TierPrices((1, -1, 1), (0, 0), (0, 0), (0, 0)))


def test_a_tier_too_slow_to_count_does_no_harm() -> None:
    """Times near the largest amount on a tier in between: their products leave int64, and are cut off exactly."""
    problem = make_tiers([[4, 7], [2**47, 2**47], [1, 1]], [(-1, [0], 3), (0, [1], 1)])
    placement = solve_tiers(problem, TierPrices((2**40, 2**40, 2**40), (2**40, 2**40), (0, 0), (0, 0)))
    assert placement.tier.tolist() == [0, 2]
    assert placement.cost == 2**40 * (4 + 1 + 1 + 1)


def test_contradicting_pins_name_op_and_link() -> None:
    tensors = [(0, [1], 1)]
    with pytest.raises(InfeasibleError, match="at link 0, op 0 is pinned to the server"):
        build_tiers(make_tiers([[1, 1]] * 3, tensors, lowest=[1, 0], highest=[2, 0]))
    with pytest.raises(InfeasibleError, match="at link 1, op 0 is pinned to the server"):
        build_tiers(make_tiers([[1, 1]] * 3, tensors, lowest=[2, 0], may_cross=[[True], [False]], highest=[2, 1]))
    with pytest.raises(BadProblemError, match="op 1 must run on tier 2 or later, and on tier 1 or earlier"):
        make_tiers([[1, 1]] * 3, tensors, lowest=[0, 2], highest=[2, 1])
    near, far = make_tiers([[1, 1]] * 3, tensors, highest=[0, 2]).links
    far_only = replace(far, pinned=np.array([ON_SERVER, FREE], dtype=np.int8))
    with pytest.raises(InfeasibleError, match=r"op 0 must run on tier 2 or later, yet .* tier 0 or earlier"):
        build_tiers(TierProblem((near, far_only)))


def test_links_that_disagree_are_refused() -> None:
    one = make_tiers([[1, 1], [2, 2]], [(0, [1], 1)]).links[0]
    other_times = make_tiers([[3, 3], [2, 2]], [(0, [1], 1)]).links[0]
    other_graph = make_tiers([[2, 2], [2, 2]], [(-1, [1], 1)]).links[0]
    with pytest.raises(BadProblemError, match="their op times differ"):
        TierProblem((one, other_times))
    with pytest.raises(BadProblemError, match="their producer differ"):
        TierProblem((one, other_graph))
    with pytest.raises(BadProblemError, match="no link"):
        TierProblem(())


def test_the_first_tiers_alone() -> None:
    problem = make_tiers([[9], [5], [1]], [(-1, [0], 1)])
    assert solve_tiers(first_tiers(problem, 2), TierPrices((1, 1), (1,), (0,), (0,))).cost == 5 + 1
    with pytest.raises(BadProblemError, match="no row of tiers"):
        first_tiers(problem, 1)
    with pytest.raises(BadProblemError, match="op 0 is pinned beyond"):
        first_tiers(make_tiers([[9], [5], [1]], [], lowest=[2]), 2)


def test_features_count_codecs_on_both_ends_of_a_link() -> None:
    problem = make_tiers([[1], [1], [1]], [(-1, [0], 0)], codecs=[[[(5, 2, 3)]], [[(4, 20, 30)]]])
    assert problem.features(np.array([2])).tier_ns == (2, 3 + 20, 30 + 1)
    assert problem.features(np.array([0])).cost(TierPrices((7, 1, 1), (1, 1), (1, 1), (1, 1))) == 7


def test_two_tier_prices_of_a_link() -> None:
    assert TierPrices((1, 2, 3), (4, 5), (6, 7), (8, 9)).link(1) == Prices(2, 3, 5, 7, 9)
