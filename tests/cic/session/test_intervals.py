"""Bounds are kept as often as they say: of draws that may be exchanged exactly, and in the long run whatever anybody does."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import ceil, exp, inf, log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.session.abandon_rule import LOCAL_MARGIN
from cic.session.forecast import Parts
from cic.session.intervals import KEPT, SETTLING, TOLD, WINDOW, Expected, Intervals, Promise, Scores

SERVER, DEVICE = Expected(True, 0.1, 0.1), Expected(False, 0.1, 1.0)

DRAWS: dict[str, Callable[[random.Random, float], float]] = {
    "normal": lambda rng, common: rng.gauss(0.0, 1.0),
    "with long tails": lambda rng, common: rng.gauss(0.0, 1.0) / (rng.random() + 1e-3),
    "which have a level in common": lambda rng, common: common + rng.random(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize(("quantile", "count"), [(0.95, 19), (0.95, 40), (0.9, 25), (0.5, 8)])
def test_of_draws_that_may_be_exchanged_the_share_is_exact(
    draw: Callable[[random.Random, float], float], quantile: float, count: int
) -> None:
    """Each run draws anew; its last draw is the one that is to be within the bound of the others."""
    rng, runs, within = random.Random(17), 3000, 0
    for _ in range(runs):
        scores, common = Scores(inf), rng.gauss(0.0, 5.0)
        for _ in range(count):
            scores.remember(draw(rng, common))
        bound = scores.window(quantile)
        assert bound is not None
        within += draw(rng, common) <= bound
    expected = ceil((count + 1) * quantile - 1e-9) / (count + 1)
    assert quantile <= expected < quantile + 1 / (count + 1)
    assert abs(within / runs - expected) < 4 * sqrt(expected * (1 - expected) / runs)


def missed(quantile: float, inferences: int, under_way: int = 0) -> float:
    """By how much the share of late inferences may differ from 1 - q, by the theorem of the module."""
    step = (1 - quantile) / 10
    return (max(quantile, 1 - quantile) + (under_way + 1) * step) / (inferences * step)


def is_late(promise: Promise, quantile: float, latency_s: float) -> bool:
    return log(latency_s / promise.expected.latency_s) > promise.bounds[quantile]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 100.0)), min_size=1, max_size=400), st.sampled_from([TOLD, KEPT, 0.8]))
@settings(max_examples=60, deadline=None)
def test_nobody_who_sees_the_bound_makes_the_share_another_one(choices: list[tuple[bool, float]], quantile: float) -> None:
    """At each step the adversary is late or early by any factor; without a bound nothing is late."""
    intervals, late = Intervals(), 0
    intervals.upper_s(SERVER, quantile)
    for count, (wants_late, factor) in enumerate(choices, 1):
        promise = intervals.promise(SERVER)
        bound = promise.bounds[quantile]
        if wants_late and bound < inf:
            latency_s = SERVER.latency_s * exp(bound) * (1 + factor) if bound > -inf else factor
        else:
            latency_s = SERVER.latency_s * exp(min(bound, 50.0)) / (1 + factor) if bound > -inf else factor
        late += is_late(promise, quantile, latency_s)
        intervals.saw(promise, latency_s)
        assert abs(late / count - (1 - quantile)) <= missed(quantile, count) + 1e-9


@pytest.mark.parametrize("quantile", [TOLD, KEPT])
@pytest.mark.parametrize("under_way", [0, 3])
def test_the_share_holds_for_a_link_that_drifts_and_jumps(quantile: float, under_way: int) -> None:
    """Latencies grow without end, fall, and jump, while predictions stay as they are; some inferences are under way."""
    rng, intervals, late, waiting = random.Random(3), Intervals(), 0, list[tuple[Promise, float]]()
    inferences = 20_000
    for count in range(1, inferences + 1):
        promise = intervals.promise(SERVER)
        level = 1e-3 * min(count, inferences - count) + (4.0 if count // 700 % 2 else 0.0)
        latency_s = SERVER.latency_s * exp(level + rng.gauss(0.0, 0.2))
        late += is_late(promise, quantile, latency_s)
        waiting.append((promise, latency_s))
        if len(waiting) > under_way:
            intervals.saw(*waiting.pop(0))
    allowed = missed(quantile, inferences, under_way)
    assert allowed < (0.011 if quantile == TOLD else 0.06)
    assert abs(late / inferences - (1 - quantile)) <= allowed


def settled() -> Intervals:
    """A session that has seen as many of each kind as say nothing yet."""
    intervals = Intervals()
    for _ in range(SETTLING):
        intervals.saw(intervals.promise(DEVICE), 0.1)
        intervals.saw(intervals.promise(SERVER), 0.1)
        intervals.saw_local(0.1, 0.1)
    return intervals


def test_what_was_believed_before_anything_was_measured_says_nothing() -> None:
    """An unknown machine's first predictions may be off by a factor of fifty."""
    intervals = Intervals()
    for _ in range(SETTLING):
        intervals.saw(intervals.promise(SERVER), 5.0)
        intervals.saw_local(0.1, 5.0)
    assert intervals.local_margin == LOCAL_MARGIN
    for _ in range(100):
        intervals.saw(intervals.promise(SERVER), 0.1)
        intervals.saw_local(0.1, 0.1)
    assert intervals.promise(SERVER).upper_s == pytest.approx(0.1)
    assert intervals.local_margin <= LOCAL_MARGIN


def test_before_enough_is_seen_a_prior_and_the_worst_that_was_seen_answer() -> None:
    intervals = settled()
    for expected, factor in ((DEVICE, 2.0), (SERVER, 4.0)):
        assert intervals.promise(expected).upper_s == pytest.approx(factor * 0.1)
        assert not intervals.enough(expected, TOLD) and intervals.surely_s(expected) == inf
        intervals.saw(intervals.promise(expected), 0.11)
        assert intervals.promise(expected).upper_s == pytest.approx(factor * 0.1)
        intervals.saw(intervals.promise(expected), 0.9)
        assert intervals.promise(expected).upper_s == pytest.approx(0.9)
        for _ in range(17):
            intervals.saw(intervals.promise(expected), 0.11)
        assert intervals.enough(expected, TOLD) and not intervals.enough(expected, KEPT)
        for _ in range(100):
            intervals.saw(intervals.promise(expected), 0.11)
        assert intervals.promise(expected).upper_s == pytest.approx(0.11) and intervals.enough(expected, KEPT)
        assert intervals.surely_s(expected) == intervals.upper_s(expected, KEPT)


def test_what_is_long_ago_is_forgotten() -> None:
    intervals = Intervals()
    for latency_s in [*[5.0] * WINDOW, *[0.1] * WINDOW]:
        intervals.probed(SERVER, latency_s)
    assert intervals.promise(SERVER).upper_s == pytest.approx(0.1)


def test_device_and_server_do_not_teach_each_other() -> None:
    intervals = Intervals()
    for _ in range(50):
        intervals.saw(intervals.promise(SERVER), 0.5)
    assert intervals.promise(DEVICE).upper_s == pytest.approx(0.2)


def test_who_depends_on_a_link_that_is_not_known_is_given_more() -> None:
    intervals, much, little = Intervals(), Parts(0.01, 0.08, 0.01), Parts(0.08, 0.01, 0.01)
    for _ in range(60):
        intervals.probed(intervals.expected(much, 0.3, offloads=True), 0.15)
    cases = (little, 0.3), (much, 0.3), (much, 0.5)
    uppers = [intervals.upper_s(intervals.expected(parts, spread, offloads=True)) for parts, spread in cases]
    assert all(upper is not None for upper in uppers)
    assert 0.1 < uppers[0] < uppers[1] < uppers[2]  # type: ignore[operator]
    assert uppers[1] == pytest.approx(0.15)
    assert intervals.expected(much, 50.0, offloads=True) == intervals.expected(much, 0.5, offloads=True)


def test_the_chance_is_the_share_of_what_was_seen() -> None:
    intervals = settled()
    assert intervals.chance(SERVER, 0.41) == 1.0 and intervals.chance(SERVER, 0.39) == 0.0
    for step in range(1, 100):
        intervals.probed(SERVER, 0.1 + step * 1e-3)
    for kept in range(1, 100):
        assert intervals.chance(SERVER, 0.1 + (kept + 0.5) * 1e-3) == pytest.approx(kept / 100)
    assert intervals.chance(SERVER, 0.5) == 1.0


def test_the_margin_of_local_answers_is_what_they_need() -> None:
    intervals, rng = settled(), random.Random(5)
    assert intervals.local_margin == LOCAL_MARGIN
    intervals.saw_local(0.1, 0.09)
    assert intervals.local_margin == LOCAL_MARGIN
    intervals.saw_local(0.1, 0.15)
    assert intervals.local_margin == pytest.approx(1.5)
    intervals.saw_local(0.1, 9.0)
    assert intervals.local_margin == 2.0, "one that was paused once does not rule"
    for _ in range(2000):
        intervals.saw_local(0.1, 0.1 * exp(rng.gauss(0.0, 0.1)))
    within = sum(exp(rng.gauss(0.0, 0.1)) <= intervals.local_margin for _ in range(4000)) / 4000
    assert 0.97 < within < 1.0 and 1.15 < intervals.local_margin < 1.5


def test_quantiles_that_nobody_asks_for_any_more_make_room() -> None:
    intervals = Intervals()
    for step in range(1, 100):
        intervals.upper_s(SERVER, step / 200)
    bounds = intervals.promise(SERVER).bounds
    assert len(bounds) == 16 and {TOLD, KEPT, 99 / 200} <= bounds.keys()


def test_bounds_are_finite_or_none_whatever_was_measured() -> None:
    for expected in (SERVER, DEVICE, Expected(True, 1e-9, 0.5)):
        intervals = Intervals()
        for latency_s in [0.0, 1e6, 1e-30, 1e6] * 40:
            upper_s = intervals.promise(expected).upper_s
            assert upper_s is None or 0.0 <= upper_s < inf
            intervals.saw(intervals.promise(expected), latency_s)
            intervals.saw_local(0.0, latency_s)
            assert 1.0 <= intervals.local_margin < inf
