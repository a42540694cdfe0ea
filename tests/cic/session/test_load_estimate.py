"""Slowdowns of a machine are followed, and errors of single profiles are learned apart from them."""

from __future__ import annotations

import random

import pytest

from cic.session.load_estimate import LoadEstimate


def predicted(load: LoadEstimate, cut: str, profiled_s: float, now_s: float) -> float:
    return load.seconds(cut, profiled_s, load.slowdown(now_s))


def test_a_slowdown_is_followed_within_a_few_inferences() -> None:
    load, draw = LoadEstimate(), random.Random(0)
    for step in range(60):
        slowdown = 1.0 if step < 30 else 4.0
        load.observe("a", 0.05, 0.05 * slowdown * draw.gauss(1, 0.02), step * 0.1)
        if step in (29, 38, 59):
            assert predicted(load, "a", 0.05, step * 0.1) == pytest.approx(0.05 * slowdown, rel=0.08)
    # Of the other cuts, too, for most of it.
    assert predicted(load, "b", 0.05, 6.0) > 0.05 * 1.8


def test_profiles_that_are_wrong_in_different_ways_do_not_chase_each_other() -> None:
    load, true = LoadEstimate(), {"a": 1.3, "b": 0.8, "c": 1.0}
    for step in range(150):
        cut = "abc"[step % 3]
        load.observe(cut, 0.05, 0.05 * true[cut], step * 0.1)
    errors = [predicted(load, cut, 0.05, 15.0) / (0.05 * true[cut]) for cut in true]
    assert all(0.85 < error < 1.15 for error in errors)


def test_one_pause_is_not_believed_in_full() -> None:
    load = LoadEstimate()
    for step in range(20):
        load.observe("a", 0.05, 0.05, step * 0.1)
    load.observe("a", 0.05, 5.0, 2.0)
    assert predicted(load, "a", 0.05, 2.0) < 0.1
    load.observe("a", 0.05, 0.05, 2.1)
    load.observe("a", 0.05, 0.05, 2.2)
    assert predicted(load, "a", 0.05, 2.2) < 0.06


def test_a_cut_with_nothing_to_do_here_says_nothing() -> None:
    load = LoadEstimate()
    for step in range(50):
        load.observe("a", 0.0, 1e-4, step * 0.1)
        load.observe("b", 1e-6, 3e-5, step * 0.1)
    assert load.slowdown(5.0) == pytest.approx(1.0, abs=0.02)
    assert predicted(load, "a", 0.0, 5.0) == pytest.approx(1e-4, rel=0.01), "but of itself"
    assert predicted(load, "b", 1e-6, 5.0) == pytest.approx(3e-5, rel=0.1)


def test_what_is_not_seen_any_more_calms_down() -> None:
    load, lasting = LoadEstimate(calms_s=10.0), LoadEstimate()
    for step in range(50):
        for each in (load, lasting):
            each.observe("a", 0.02, 0.2, step * 0.1)
    busy = load.slowdown(4.9)
    assert busy > 3 and load.slowdown(14.9) == pytest.approx(busy**0.5) and load.slowdown(100.0) < 1.01
    assert lasting.slowdown(1000.0) == lasting.slowdown(4.9)


@pytest.mark.parametrize("measured_s", [0.0, -1.0, 1e9])
def test_absurd_times_stay_within_bounds(measured_s: float) -> None:
    load = LoadEstimate()
    for step in range(500):
        load.observe("a", 0.02, measured_s, float(step))
    assert 0.04 < load.slowdown(500.0) <= 101 and 0.04 < load.factor("a") <= 101
