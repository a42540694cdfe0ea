"""The controller's look-up is the least of all closed sets under all settings; its averages keep targets, within O(1/V)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.adaptation.control_bound import certified_gap, least_penalty, lower_left, offered, penalties
from benchmarks.harness.bare_tables import bare_model
from benchmarks.harness.random_problems import small_problem
from cic.control.controlled_device import ControlledDevice, Setting
from cic.control.controller import LEAST_ENERGY, LEAST_LATENCY, Controller, Penalty
from cic.control.levels import ClockLevel, TransmitRate, cubic_levels
from cic.control.queues import MOST_FRAMES, Queues
from cic.control.targets import Targets
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy
from cic.decision.equivalent import SECONDS, weighed
from cic.errors import CostError, DecisionError, UnitError
from tests.cic.decision.brute_force import AMOUNTS, numbers, priced
from tests.cic.hand_made import random_conditions, splitting_model

WIDE = Box(("10kbps", "1Gbps"), (0.1, 100), (0, "1s"), (0.05, 50), (0.01, 50))
CUTS = (
    ("server-only", (1_000_000, 15_000_000, 150_000, 4000, 1)),
    ("early", (40_000_000, 12_000_000, 60_000, 4000, 1)),
    ("late", (150_000_000, 8_000_000, 12_000, 4000, 1)),
    ("device-only", (400_000_000, 0, 0, 0, 0)),
)
BOARD = ControlledDevice(
    Energy(6.4, 4.0, 3.2, 2.9),
    2.7,
    cubic_levels((1.5e9, 1e9, 0.6e9), 2.7, 6.4),
    (TransmitRate(20e6, 4.0), TransmitRate(2e6, 3.0)),
)


def drawn(rng: random.Random) -> Controller:
    """Any device, targets, V and queues."""
    compute_w, send_w, receive_w, wait_w = (10 ** rng.uniform(-0.5, 1) for _ in range(4))
    device = ControlledDevice(
        Energy(compute_w, send_w, receive_w, wait_w, 0.0, rng.choice([0.0, 1e-8])),
        rng.choice([0.0, 0.3]),
        tuple(ClockLevel(1e9 / factor, factor, 0.5 + 5 / factor**2) for factor in (1.0, 1.7, 3.0)[: rng.randint(0, 3)]),
        tuple(TransmitRate(bps, 0.5 + bps / 1e7) for bps in (1e7, 1e6)[: rng.randint(0, 2)]),
    )
    targets = Targets(rng.uniform(0.5, 50), rng.choice([None, 2.0]), rng.choice([None, 0.1]))
    least = rng.choice([LEAST_ENERGY, LEAST_LATENCY, Penalty(1.0, 1.0)])
    controller = Controller(device, targets, 10 ** rng.uniform(-1, 3), least)
    controller.queues = Queues(*(rng.choice([0.0, 1.0, 200.0]) for _ in range(3)))
    return controller


def test_the_look_up_is_the_least_of_all_closed_sets_under_all_settings() -> None:
    rng, looked_up = random.Random(160), 0
    for _ in range(60):
        plain = numbers(small_problem(rng, 7, amounts=AMOUNTS))
        model = splitting_model(plain, WIDE)
        for _ in range(5):
            controller, now = drawn(rng), Conditions(*random_conditions(rng, Box()))
            action = controller.choose(model, now)
            looked_up += action.proved and action.cut in model.cuts
            settings = [(setting, setting.under(now)) for setting in controller.device.settings]
            prices = [controller.prices(setting, under.uplink_bps, under.downlink_bps) for setting, under in settings]
            least = min(float(priced(plain, under, each).min()) for (_, under), each in zip(settings, prices, strict=True))
            assert action.weight <= least * (1 + 1e-7) + 1e-15
            assert action.conditions == action.setting.under(now)
            under = zip([under for _, under in settings], prices, strict=True)
            known = min(weighed(each, cut, conditions) for conditions, each in under for cut in model.cuts)
            assert action.weight <= known * (1 + 1e-7) + 1e-15
    assert looked_up > 200, "most are look-ups"


def test_the_weight_of_parts_is_that_of_the_cut_and_what_was_seen_fills_the_queues() -> None:
    rng, model = random.Random(161), bare_model("four", CUTS, WIDE)
    for _ in range(50):
        controller, now = drawn(rng), Conditions(*random_conditions(rng, Box()))
        action = controller.choose(model, now)
        under = action.conditions
        parts = action.cut.terms(under)
        speeds = under.uplink_bps, under.downlink_bps
        assert controller.weight(action.setting, parts, *speeds) == pytest.approx(action.weight)
        before, budget = controller.queues, controller.budget
        controller.saw(action.setting, parts, *speeds)
        seconds, joules = sum(parts), weighed(controller.device.watts(action.setting, *speeds), action.cut, under)
        assert controller.queues == before.after(seconds, joules, budget)
        # What the queues add to the prices is the drift that they price.
        drift = before.backlog * seconds / budget.frame_s + before.power * joules / budget.joules
        drift += before.latency * seconds / budget.latency_s
        penalty = controller.least.per_joule * joules + controller.least.per_second * seconds
        assert action.weight == pytest.approx(controller.v * penalty + drift)


def states(rng: random.Random, count: int) -> list[Conditions]:
    """A bandwidth that wanders."""
    bps, found = 4e6, []
    for _ in range(count):
        bps = min(max(bps * 10 ** rng.uniform(-0.3, 0.3), 2e5), 5e7)
        found.append(Conditions(bps, bps, 0.01))
    return found


def binding(offers: list[np.ndarray], what: str) -> tuple[Targets, Penalty]:
    """Targets half-way between what the quickest and the most frugal actions take."""
    quick, frugal = (np.array([each[place] for each in offers]).mean(0) for place in (0, -1))
    seconds, joules = (quick + frugal) / 2
    calm = 1 / (1.25 * frugal[0])
    return {
        "rate": (Targets(1 / seconds), LEAST_ENERGY),
        "power": (Targets(calm, BOARD.idle_w + joules * calm), LEAST_LATENCY),
        "latency": (Targets(calm, None, seconds), LEAST_ENERGY),
    }[what]


@pytest.mark.parametrize("what", ["rate", "power", "latency"])
def test_averages_keep_their_targets_and_come_near_the_optimum_as_v_grows(what: str) -> None:
    """The gap is at most what is proved for it, whatever the conditions are."""
    model, met = bare_model("four", CUTS, WIDE), states(random.Random(162), 800)
    offers = [offered(BOARD, model.cuts, now) for now in met]
    targets, least = binding(offers, what)
    budget = targets.budget(BOARD.idle_w)
    bound = least_penalty(offers, [1] * len(met), budget, least)
    assert bound is not None
    gaps = []
    for times in (1.0, 8.0, 64.0):
        controller, queues, taken = Controller(BOARD, targets, times / bound.penalty, least), [], []
        for now in met:
            queues.append((controller.queues.backlog, controller.queues.power, controller.queues.latency))
            action = controller.choose(model, now)
            assert action.proved
            speeds = action.conditions.uplink_bps, action.conditions.downlink_bps
            parts = action.cut.terms(action.conditions)
            watts = BOARD.watts(action.setting, *speeds)
            taken.append((sum(parts), sum(power * part for power, part in zip(watts, parts, strict=True))))
            controller.saw(action.setting, parts, *speeds)
        left = controller.queues
        queues.append((left.backlog, left.power, left.latency))
        used = np.array(taken)
        gaps.append(float(penalties(used, least).mean()) - bound.penalty)
        assert gaps[-1] <= certified_gap(np.array(queues), used, used, bound.taken, budget, controller.v) + 1e-9
        for kept, limit, queue in zip(used.mean(0)[[0, 1, 0]], budget, (left.backlog, left.power, left.latency), strict=True):
            assert kept <= limit * (1 + queue / len(met)) * (1 + 1e-9)
        assert controller.average_power_w == pytest.approx(BOARD.idle_w + used[:, 1].mean() * targets.frames_per_s)
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.05 * bound.penalty


def test_the_program_s_optimum_is_that_of_all_actions() -> None:
    rng, model = random.Random(163), bare_model("four", CUTS, WIDE)
    for _ in range(20):
        (now,), per_joule, per_second = states(rng, 1), 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-2, 2)
        every = [
            per_second * weighed(SECONDS, cut, under) + per_joule * weighed(watts, cut, under)
            for each in BOARD.settings
            for under in (each.under(now),)
            for watts in (BOARD.watts(each, under.uplink_bps, under.downlink_bps),)
            for cut in model.cuts
        ]
        of_hull = penalties(offered(BOARD, model.cuts, now), Penalty(per_joule, per_second))
        assert of_hull.min() == pytest.approx(min(every))
    assert lower_left([(1, 5), (2, 4.9), (3, 1), (4, 2), (5, 0), (1, 6)]) == [(1, 5), (3, 1), (5, 0)]


def test_a_queue_never_falls_below_empty_and_never_grows_for_ever() -> None:
    budget = Targets(10.0, 5.0, 0.05).budget(1.0)
    assert Queues().after(0.0, 0.0, budget) == Queues()
    queues = Queues().after(0.2, 0.6, budget)
    assert (queues.backlog, queues.power, queues.latency) == pytest.approx((1.0, 0.5, 3.0))
    for _ in range(20):
        queues = queues.after(1000.0, 1000.0, budget)
    assert queues == Queues(MOST_FRAMES, queues.power, MOST_FRAMES) and queues.power <= MOST_FRAMES
    free = Targets(10.0).budget(1.0)
    assert Queues().after(0.2, 1e9, free) == Queues(1.0)


def test_without_a_power_target_and_with_time_enough_the_least_energy_is_taken() -> None:
    model, now = bare_model("four", CUTS, WIDE), Conditions(4e6, 4e6, 0.01)
    action = Controller(BOARD, Targets(0.1), 10.0).choose(model, now)
    joules = {
        (setting, cut.id): weighed(BOARD.watts(setting, under.uplink_bps, under.downlink_bps), cut, under)
        for setting in BOARD.settings
        for under in (setting.under(now),)
        for cut in model.cuts
    }
    assert joules[action.setting, action.cut.id] <= min(joules.values()) + 1e-3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DecisionError, match="name a greater power"):
        Controller(BOARD, Targets(5.0, 2.0), 1.0)
    with pytest.raises(CostError, match="no inference can draw less"):
        ControlledDevice(Energy(1.0, 1.0, 1.0, 0.5), 0.7)
    with pytest.raises(CostError, match=r"compute_w at 500 MHz is 1 W"):
        ControlledDevice(Energy(3.0, 3.0, 3.0, 3.0), 2.0, (ClockLevel(5e8, 2.0, 1.0),))
    for bad in (0.0, -1.0, float("nan")):
        for make in (lambda bad=bad: Targets(bad), lambda bad=bad: Controller(BOARD, Targets(1.0), bad)):
            with pytest.raises(UnitError):
                make()
    assert Setting().shown == "" and BOARD.settings[0].shown == "1.5 GHz, 20 Mbit/s"
