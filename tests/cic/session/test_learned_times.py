"""A machine of which nothing was known is known after a few inferences, and it is known how well."""

from __future__ import annotations

import random
from math import exp, log
from statistics import mean

import pytest

from cic.session.learned_times import DRIFT_SD, GROUP_SD, NOISE_SD, OWN_SD, SCALE_SD, LearnedTimes

ALIKE = dict.fromkeys("abc", (0.1, 0.4, 0.2, 0.3))
MIXED = {
    "starts": (0.7, 0.1, 0.1, 0.1),
    "convolutions": (0.05, 0.8, 0.05, 0.1),
    "products": (0.05, 0.1, 0.8, 0.05),
    "passes": (0.05, 0.05, 0.1, 0.8),
    "all": (0.25, 0.25, 0.25, 0.25),
}
PROFILED_S = 0.05


def predicted(learned: LearnedTimes, cut: str, now_s: float = 0.0) -> float:
    return learned.seconds(cut, PROFILED_S, learned.slowdown(now_s))


class Machine:
    """One drawn from what is assumed of machines."""

    def __init__(self, draw: random.Random, shares: dict[str, tuple[float, ...]] = MIXED) -> None:
        self._draw, self._shares = draw, shares
        self._scale = draw.gauss(0, SCALE_SD)
        self._rates = [draw.gauss(0, GROUP_SD) for _ in range(4)]
        self._own = {cut: draw.gauss(0, OWN_SD) for cut in shares}

    def true_s(self, cut: str) -> float:
        work = sum(share * exp(self._scale + rate) for share, rate in zip(self._shares[cut], self._rates, strict=True))
        return PROFILED_S * work * exp(self._own[cut])

    def measured_s(self, cut: str) -> float:
        return self.true_s(cut) * exp(self._draw.gauss(0, NOISE_SD))


@pytest.mark.parametrize("slowdown", [1 / 30, 0.5, 7.0, 40.0])
def test_one_measurement_tells_how_fast_the_machine_is_for_all_cuts(slowdown: float) -> None:
    learned = LearnedTimes(ALIKE)
    learned.observe("a", PROFILED_S, PROFILED_S * slowdown, 0.0)
    for cut in ALIKE:
        assert predicted(learned, cut) == pytest.approx(PROFILED_S * slowdown, rel=0.1)


def test_what_groups_of_ops_deviate_by_is_learned_from_cuts_that_differ() -> None:
    errors = []
    for seed in range(30):
        machine, learned = Machine(random.Random(seed)), LearnedTimes(MIXED)
        for step, cut in enumerate(["starts", "convolutions", "products", "passes"] * 2):
            learned.observe(cut, PROFILED_S, machine.measured_s(cut), step * 0.1)
        errors.append(abs(log(predicted(learned, "all") / machine.true_s("all"))))
    assert mean(errors) < 0.15, "of a cut that was never run"


@pytest.mark.parametrize("inferences", [0, 1, 2, 5, 20])
def test_variances_are_honest(inferences: int) -> None:
    """Errors of predictions in their standard deviations are as they should be: their squares are 1 on average."""
    squares = []
    for seed in range(300):
        draw = random.Random(seed)
        machine, learned = Machine(draw), LearnedTimes(MIXED)
        for step in range(inferences):
            cut = draw.choice(list(MIXED))
            learned.observe(cut, PROFILED_S, machine.measured_s(cut), step * 1e-3)
        cut = draw.choice(list(MIXED))
        squares.append(log(machine.true_s(cut) / predicted(learned, cut)) ** 2 / learned.doubt({cut: 1.0}).variance)
    assert 0.4 < mean(squares) < 1.5, "less for a cut that was run, of which more is known than the filter keeps"


def test_the_difference_of_two_like_cuts_is_known_better_than_either() -> None:
    learned = LearnedTimes(ALIKE)
    assert learned.doubt({"a": 1.0, "b": -1.0}).variance == pytest.approx(2 * OWN_SD**2)
    assert learned.doubt({"a": 1.0}).variance > SCALE_SD**2


def test_running_a_cut_tells_what_it_was_said_to_tell() -> None:
    """Nothing that is seen moves the rates here, so what is left is what was said beforehand."""
    draw = random.Random(1)
    for _ in range(50):
        machine, learned = Machine(draw), LearnedTimes(MIXED)
        for step in range(draw.randrange(4)):
            cut = draw.choice(list(MIXED))
            learned.observe(cut, PROFILED_S, machine.measured_s(cut), step * 1e-3)
        one, other, run = draw.choices(list(MIXED), k=3)
        if one == other:
            continue
        doubt = learned.doubt({one: 0.03, other: -0.02})
        told = learned.told_by(run, PROFILED_S, doubt)
        assert 0.0 <= told <= 1.0 + 1e-9
        before = doubt.variance
        learned.observe(run, PROFILED_S, predicted(learned, run), 3e-3)
        if run not in (one, other):
            assert learned.doubt({one: 0.03, other: -0.02}).variance == pytest.approx(before * (1 - told), rel=0.02)


def test_a_cut_with_next_to_no_work_tells_next_to_nothing() -> None:
    learned = LearnedTimes(ALIKE)
    doubt = learned.doubt({"a": 1.0})
    told = [learned.told_by("b", seconds, doubt) for seconds in (0.0, 1e-6, 1e-4, 1e-2)]
    assert told == sorted(told) and told[0] == 0.0 and told[1] < 0.01 and told[-1] > 0.95


@pytest.mark.parametrize("times", [0.2, 4.0, 8.0])
def test_a_jump_of_load_is_followed_within_three_inferences(times: float) -> None:
    machine, learned = Machine(random.Random(3)), LearnedTimes(MIXED)
    for step in range(30):
        learned.observe("all", PROFILED_S, machine.measured_s("all"), step * 0.1)
    for step in range(30, 33):
        learned.observe("all", PROFILED_S, times * machine.measured_s("all"), step * 0.1)
    assert predicted(learned, "all") == pytest.approx(times * machine.true_s("all"), rel=0.25)
    # It is the machine that has changed, so other cuts take as much longer.
    assert predicted(learned, "passes") > 0.5 * times * machine.true_s("passes")


def test_one_pause_is_not_believed_in_full() -> None:
    learned = LearnedTimes(ALIKE)
    for step in range(20):
        learned.observe("a", PROFILED_S, PROFILED_S, step * 0.1)
    learned.observe("a", PROFILED_S, 100 * PROFILED_S, 2.0)
    assert predicted(learned, "a") < 2.2 * PROFILED_S
    learned.observe("a", PROFILED_S, PROFILED_S, 2.1)
    learned.observe("a", PROFILED_S, PROFILED_S, 2.2)
    assert predicted(learned, "a") == pytest.approx(PROFILED_S, rel=0.2)


def test_noise_does_not_move_what_is_known() -> None:
    machine, learned = Machine(random.Random(5)), LearnedTimes(MIXED)
    errors = []
    for step in range(200):
        learned.observe("all", PROFILED_S, machine.measured_s("all"), step * 0.1)
        errors.append(abs(log(predicted(learned, "all") / machine.true_s("all"))))
    assert mean(errors[20:]) < 0.5 * NOISE_SD


def test_a_cut_without_work_tells_what_is_on_top_of_any() -> None:
    learned = LearnedTimes(ALIKE, 0.1)
    for step in range(50):
        learned.observe("no work", 0.0, 4e-4, step * 0.1)
    assert learned.slowdown(5.0) == 1.0
    assert learned.seconds("no work", 0.0, 1.0) == pytest.approx(4e-4, rel=0.01)
    assert learned.seconds("a", PROFILED_S, 1.0) == pytest.approx(PROFILED_S + 4e-4, rel=0.01)
    assert learned.seconds("a", 0.1, 1.0) == pytest.approx(0.1, rel=1e-6), "of the whole network there is nothing on top"


def test_what_is_hoped_of_a_server_grows_while_it_is_not_seen() -> None:
    learned = LearnedTimes(ALIKE)
    assert learned.hoped_slowdown(0.0) < 0.1
    for step in range(20):
        learned.observe("a", PROFILED_S, PROFILED_S, step * 0.1)
    soon, late = learned.hoped_slowdown(2.0), learned.hoped_slowdown(500.0)
    assert late < soon < learned.slowdown(2.0) and soon > exp(-3 * (DRIFT_SD + NOISE_SD + GROUP_SD))
    for step in range(20, 24):
        learned.observe("a", PROFILED_S, 8 * PROFILED_S, step * 0.1)
    assert learned.hoped_slowdown(3.0) < 1.3, "it was as quick as that a second ago"


@pytest.mark.parametrize("measured_s", [0.0, -1.0, 1e9])
def test_absurd_times_stay_within_bounds(measured_s: float) -> None:
    learned = LearnedTimes(ALIKE)
    for step in range(500):
        learned.observe("a", PROFILED_S, measured_s, float(step))
        assert 0 < predicted(learned, "a", float(step)) < float("inf")
        assert learned.doubt({"a": 1.0, "b": 1.0}).variance >= 0
    learned.observe("a", PROFILED_S, PROFILED_S, 500.0)
    learned.observe("a", PROFILED_S, PROFILED_S, 500.1)
    learned.observe("a", PROFILED_S, PROFILED_S, 500.2)
    assert predicted(learned, "a") < 1e3
