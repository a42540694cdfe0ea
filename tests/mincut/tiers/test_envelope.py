"""The table of tiers: its best candidate is the optimum everywhere in the box, at any round trips."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from benchmarks.harness.random_tiers import small_tiers, to_tier_problem
from benchmarks.harness.tier_brute_force import cheapest_tiers
from mincut.errors import InfeasibleError, MincutError
from mincut.tiers import TierBox, TierPrices, build_tiers, make_tiers, solve_tiers, tier_envelope

AMOUNTS = [0, 1, 2, 7, 20, 100, 300]
RATIOS = [Fraction(1), Fraction(1, 3), Fraction(5, 2)]


def random_box(rng: random.Random, links: int) -> TierBox:
    spans = [sorted(rng.choices([1, 2, 10, 50], k=2)) for _ in range(links)]
    return TierBox(
        tuple((Fraction(low), Fraction(high)) for low, high in spans), tuple(rng.choice(RATIOS) for _ in range(links))
    )


@pytest.mark.parametrize(("tiers", "most_ops", "draws"), [(2, 7, 30), (3, 5, 60), (4, 4, 20)])
@pytest.mark.parametrize("with_codecs", [False, True])
def test_the_best_candidate_is_the_optimum(tiers: int, most_ops: int, draws: int, with_codecs: bool) -> None:
    rng, compared, several = random.Random(tiers), 0, 0
    for _ in range(draws):
        plain, box = small_tiers(rng, tiers, most_ops, amounts=AMOUNTS, with_codecs=with_codecs), random_box(rng, tiers - 1)
        # Each tier faster than the one before, as machines in a row are: else most of them are left out.
        faster = [sorted(times, reverse=True) for times in zip(*plain.tier_ns, strict=True)]
        plain = replace(plain, tier_ns=[list(times) for times in zip(*faster, strict=True)])
        try:
            table = tier_envelope(to_tier_problem(plain), box)
        except InfeasibleError:
            continue
        assert table.complete
        assert table.gap < 1e-6
        several += len(table.candidates) > 2
        for _ in range(6):
            at = prices_inside(rng, box, any_download=table.any_download)
            best = min(candidate.features.cost(at) for candidate in table.candidates)
            expected = cheapest_tiers(plain, at)
            assert expected is not None
            assert expected <= best <= expected * (1 + table.gap), "no cheaper placement is missing"
            compared += 1
    assert compared > draws
    assert several > 0, "tables of several cuts are among them"


def prices_inside(rng: random.Random, box: TierBox, *, any_download: bool) -> TierPrices:
    """Of a nanosecond 6, so that all ratios of downloads are whole."""
    upload = [rng.choice([low, high, Fraction(rng.randint(int(low), int(high)))]) for low, high in box.upload]
    download = [price * ratio for price, ratio in zip(upload, box.download_per_upload, strict=True)]
    if any_download:
        download = [Fraction(rng.choice([0, 1, 10**7])) for _ in upload]
    links = len(upload)
    return TierPrices(
        (6,) * (links + 1),
        tuple(int(6 * price) for price in upload),
        tuple(int(6 * price) for price in download),
        tuple(rng.choice([0, 1, 100, 10**4]) for _ in upload),
    )


def test_every_candidate_is_needed() -> None:
    """Without round trips each is the best of its number of links somewhere, or all is on tier 0."""
    problem = make_tiers([[8, 64], [4, 16], [1, 2]], [(-1, [0], 64), (0, [1], 16)], download_bytes=[0, 1])
    box = TierBox(((Fraction(1, 100), Fraction(100)),) * 2, (Fraction(1),) * 2)
    table = tier_envelope(problem, box)
    tiers = {tuple(candidate.tier.tolist()) for candidate in table.candidates}
    assert len(tiers) == len(table.candidates)
    assert {(0, 0), (0, 1), (0, 2), (1, 1)} <= tiers <= {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}


def test_a_budget_that_runs_out_is_told() -> None:
    problem = make_tiers([[8, 64], [4, 16], [1, 2]], [(-1, [0], 64), (0, [1], 16)])
    box = TierBox(((Fraction(1, 100), Fraction(100)),) * 2, (Fraction(1),) * 2)
    table = tier_envelope(problem, box, most_solves=3)
    assert not table.complete
    assert table.gap == float("inf")
    assert table.solves == 3


def test_a_point_is_one_minimum_cut_a_number_of_tiers() -> None:
    problem = make_tiers([[8, 64], [4, 16], [1, 2]], [(-1, [0], 64), (0, [1], 16)])
    table = tier_envelope(problem, TierBox(((Fraction(3), Fraction(3)),) * 2, (Fraction(1),) * 2))
    at = TierPrices((1, 1, 1), (3, 3), (3, 3), (0, 0))
    assert min(candidate.features.cost(at) for candidate in table.candidates) == solve_tiers(build_tiers(problem), at).cost


def test_boxes_that_do_not_fit_are_refused() -> None:
    one = (Fraction(1), Fraction(2))
    with pytest.raises(MincutError, match="2 ranges of prices and 1 ratios"):
        TierBox((one, one), (Fraction(1),))
    with pytest.raises(MincutError, match="link 1 must have"):
        TierBox((one, (Fraction(2), Fraction(1))), (Fraction(1), Fraction(1)))
    with pytest.raises(MincutError, match="the box has 1 links, the problem 2"):
        tier_envelope(make_tiers([[1]] * 3, []), TierBox((one,), (Fraction(1),)))
