"""What samples show holds beyond them: cuts that miss a target pass as rarely as said, for any number of samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cic.precision.accuracy import judge, parse_target
from cic.precision.evidence import (
    CONFIDENCE,
    EACH_KIND,
    is_above_chance,
    is_shown,
    left_to_inputs,
    level_of,
    samples_needed,
    share_shown,
)

LEVEL = 1 - CONFIDENCE
Draw = tuple[NDArray[np.float64], NDArray[np.float64]]


def binary(rng: np.random.Generator, count: int, right: float, gained: float, share: float) -> Draw:
    """Samples of a cut that keeps a little less than `share` of what the whole model gets right, and gains some."""
    lost = 1.002 - share + (1 - right) * gained / right
    whole = rng.random(count) < right
    kept = np.where(whole, rng.random(count) >= lost, rng.random(count) < gained)
    return kept.astype(float), whole.astype(float)


def graded(rng: np.random.Generator, count: int, right: float, gained: float, share: float) -> Draw:
    """Maps of which most places are right and a picture in fifty is lost, a little more than `share` allows."""
    whole = np.clip(rng.normal(right, 0.02, count), 0.01, 0.999)
    bad = rng.random(count) < 0.02
    ordinary = (share * 0.998 - 0.02 * 0.3) / 0.98
    return np.clip(whole * np.where(bad, 0.3, rng.normal(ordinary, 0.01, count)), 0, 1), whole


@pytest.mark.parametrize("draw", [binary, graded])
@pytest.mark.parametrize("count", [1, 10, 30, 100, 300])
def test_what_misses_the_target_passes_as_rarely_as_said(draw: object, count: int) -> None:
    rng = np.random.default_rng(count)
    for share in (0.5, 0.9, 0.97):
        for right, gained in ((1.0, 0.0), (0.9, 0.02), (0.7, 0.1)):
            passed = sum(
                is_shown(*draw(rng, count, right, gained, share), share, LEVEL, in_part=draw is graded) for _ in range(150)
            )  # type: ignore[operator]
            # 150 draws at 5 %: more than 17 are seen once in a thousand times.
            assert passed <= 17, (share, right, gained)


def test_what_keeps_more_is_shown_by_enough_samples() -> None:
    rng = np.random.default_rng(5)
    for draw in (binary, graded):
        assert is_shown(*draw(rng, 3000, 0.8, 0.01, 0.99), 0.95, LEVEL, in_part=draw is graded)


def test_the_fewest_samples_are_the_fewest() -> None:
    for share in (0.5, 0.9, 0.99):
        for level in (0.05, 1e-3, 1e-6):
            needed = samples_needed(share, level)
            assert needed is not None
            for in_part in (False, True):
                assert not is_shown(np.ones(needed - 1), np.ones(needed - 1), share, level, in_part=in_part)
                assert is_shown(np.ones(needed), np.ones(needed), share, level, in_part=in_part)
            assert share_shown(needed - 1, level) < share <= share_shown(needed, level)
    assert samples_needed(1.0, 0.05) is None
    assert not is_shown(np.ones(10**6), np.ones(10**6), 1.0, 0.05), "no number of samples shows that nothing is ever lost"


def test_the_levels_of_all_sets_add_up_to_less_than_one_allows() -> None:
    for pairs in (1, 7, 60):
        total = sum(math.comb(pairs, size) * level_of(size, pairs) for size in range(1, pairs + 1))
        assert total <= LEVEL * (1 + 1e-9)


def test_sets_with_transforms_and_sets_without_share_the_level() -> None:
    plain, transforms = 5, 6
    pairs = plain + transforms
    with_any = sum(
        (math.comb(pairs, size) - math.comb(plain, size)) * level_of(size, pairs, part=EACH_KIND)
        for size in range(1, pairs + 1)
    )
    without = sum(math.comb(plain, size) * level_of(size, plain, part=EACH_KIND) for size in range(1, plain + 1))
    for of_inputs in (1, 3, plain):
        assert with_any + without + of_inputs * left_to_inputs(pairs, plain, of_inputs) <= LEVEL * (1 + 1e-9)


def test_a_set_s_level_is_shared_out_among_the_readers_that_lose_nothing() -> None:
    for readers in range(1, 9):
        choices = [level_of(1, 5, [(readers, kept)]) * math.comb(readers, kept) for kept in range(readers)]
        assert sum(choices) == pytest.approx(level_of(1, 5))
    assert level_of(2, 5, [(2, 0), (3, 1)]) == level_of(2, 5) / 2 / 12


def test_calls_that_are_lost_whole_are_no_more_evidence_than_their_number() -> None:
    """Forty calls of 8 rows, one in thirty of which a codec spoils for all its rows: 97 % are kept, 98 % were promised."""
    rng = np.random.default_rng(2)
    whole = [(torch.stack([torch.ones(8), torch.zeros(8)], 1),)] * 40
    passed = 0
    for _ in range(40):
        rows = np.repeat((rng.random((40, 1)) > 0.03).astype(np.float32), 8, axis=1)
        answers = [(torch.stack([torch.from_numpy(row), torch.full((8,), 0.5)], 1),) for row in rows]
        passed += judge(parse_target("top1>=0.98"), answers, whole, None, LEVEL).met
    assert passed <= 2, "with rows as samples, a third of the draws pass"


def test_nothing_right_shows_nothing() -> None:
    assert not is_shown(np.zeros(500), np.zeros(500), 0.5, LEVEL)
    assert is_shown(np.zeros(500), np.zeros(500), 0.0, LEVEL)


def test_guessing_is_not_above_chance() -> None:
    assert not is_above_chance(0.12, 10) and not is_above_chance(0.0, 10) and not is_above_chance(0.55, 2)
    assert is_above_chance(0.6, 10) and is_above_chance(0.75, 2) and is_above_chance(0.3, 1000)
