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


@pytest.mark.parametrize("on_top_s", [0.5e-3, 2e-3, 4e-3])
def test_what_any_inference_costs_on_top_is_no_slowdown(on_top_s: float) -> None:
    """Heads of 1 ms say next to nothing of how long a network of 100 ms takes."""
    load, draw = LoadEstimate(0.1), random.Random(0)
    for step in range(300):
        profiled_s = (0.8e-3, 1e-3, 1.3e-3)[step % 3]
        load.observe(f"{step % 3}", profiled_s, profiled_s + on_top_s * draw.uniform(0.5, 1.5), step * 0.1)
        assert predicted(load, "whole", 0.1, step * 0.1) <= 0.1 * 1.03
    assert predicted(load, "1", 1e-3, 30.0) == pytest.approx(1e-3 + on_top_s, rel=0.3)
    assert predicted(load, "never run", 1e-3, 30.0) == pytest.approx(1e-3 + on_top_s, rel=0.35), "it is of any inference"


@pytest.mark.parametrize("slowdown", [0.5, 2.0])
def test_a_real_slowdown_is_found_within_three_inferences(slowdown: float) -> None:
    load = LoadEstimate(0.1)
    for step in range(30):
        for cut, profiled_s in (("small", 1e-3), ("large", 0.06), ("whole", 0.1)):
            load.observe(cut, profiled_s, 2e-3 + profiled_s, step * 0.1)
    for step in range(3):
        load.observe("large", 0.06, 2e-3 + 0.06 * slowdown, 3.0 + step * 0.1)
    assert predicted(load, "large", 0.06, 3.3) == pytest.approx(2e-3 + 0.06 * slowdown, rel=0.12)
    for step in range(3):
        load.observe("whole", 0.1, 2e-3 + 0.1 * slowdown, 4.0 + step * 0.1)
    assert predicted(load, "whole", 0.1, 4.3) == pytest.approx(2e-3 + 0.1 * slowdown, rel=0.12)
    small_s = 2e-3 + 1e-3 * slowdown
    assert predicted(load, "small", 1e-3, 4.3) == pytest.approx(small_s, abs=5e-3), "a twentieth of the whole"
    load.observe("small", 1e-3, small_s, 4.4)
    load.observe("small", 1e-3, small_s, 4.5)
    assert predicted(load, "small", 1e-3, 4.5) == pytest.approx(small_s, abs=1e-3)


@pytest.mark.parametrize("measured_s", [0.0, -1.0, 1e9])
def test_absurd_times_stay_within_bounds(measured_s: float) -> None:
    load = LoadEstimate()
    for step in range(500):
        load.observe("a", 0.02, measured_s, float(step))
    assert 0.04 < load.slowdown(500.0) <= 101 and 0.04 < load.factor("a") <= 101
