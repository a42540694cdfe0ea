"""Control in a session: calls are answered, the clock is set and put back, and averages are those of what calls took."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest

import cic
from benchmarks.harness.bare_tables import bare_model
from cic.control.clock import NoClock
from cic.control.controlled_device import ControlledDevice
from cic.control.controller import LEAST_LATENCY
from cic.control.levels import ClockLevel, TransmitRate, cubic_levels
from cic.control.policy import ControlPolicy
from cic.control.queues import Queues
from cic.control.targets import Targets
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy
from cic.errors import CicWarning, CostError
from cic.session.forecast import Parts
from cic.session.policy import Policy
from cic.session.session import Session
from tests.cic.conftest import Project
from tests.cic.session.simulated_link import PI

LEVELS = cubic_levels((1.5e9, 1e9, 0.6e9), 2.7, 6.4)
BOARD = ControlledDevice(Energy(6.4, 4.0, 3.2, 2.9), 2.7, LEVELS)
MODEL = bare_model("four", [(cut.id, cut.features) for cut in PI.values()], Box())


@dataclass
class Recorded:
    """A clock that writes down what it was set to; it refuses once `refuses` says why."""

    settable: bool = True
    said: str = "made up"
    levels: list[ClockLevel | None] = field(default_factory=list)
    refuses: str = ""

    def set(self, level: ClockLevel) -> None:
        if self.refuses:
            raise PermissionError(13, self.refuses)
        self.levels.append(level)

    def close(self) -> None:
        self.levels.append(None)


def parts_at(bps: float, slowdown: float = 1.0) -> dict[str, Parts]:
    """What the cuts take, by label."""
    now = Conditions(bps, bps, 0.01, slowdown)
    return {cut.label: Parts(*cut.terms(now)) for cut in PI.values()}


def drive(policy: ControlPolicy, clock: Recorded, calls: int, bps: float = 4e6) -> list[float]:
    """Calls that take what their cut takes at the level that the clock is at; the joules of each."""
    joules = []
    for call in range(calls):
        before = policy.controller.joules
        choice = policy.choose(parts_at(bps), 0.1, float(call))
        level = next((level for level in reversed(clock.levels) if level is not None), LEVELS[0])
        slowdown = level.seconds_factor if clock.settable else 1.0
        policy.saw(choice.cut, PI[choice.cut], parts_at(bps, slowdown)[choice.cut], call + 0.5)
        joules.append(policy.controller.joules - before)
    return joules


def test_it_is_a_policy() -> None:
    assert isinstance(ControlPolicy(MODEL, Targets(5), BOARD, 1.0), Policy)


def test_with_time_to_spare_the_clock_goes_down_and_with_too_little_up_again() -> None:
    clock = Recorded()
    policy = ControlPolicy(MODEL, Targets(0.5), BOARD, 20.0, clock=clock)
    drive(policy, clock, 40, bps=2e5)
    assert clock.levels and clock.levels[-1] == LEVELS[-1] and policy.said == "made up"
    hurried = ControlPolicy(MODEL, Targets(2.4), BOARD, 1.0, clock=(busy := Recorded()))
    drive(hurried, busy, 300, bps=2e5)
    assert LEVELS[0] in busy.levels or not busy.levels, "device-only takes 0.4 s of 0.42 at the profiled clock alone"
    assert hurried.controller.queues.backlog < 30
    policy.close()
    assert clock.levels[-1] is None


def test_the_average_power_is_kept_and_told() -> None:
    clock = Recorded()
    targets = Targets(1.0, 3.2)
    policy = ControlPolicy(MODEL, targets, BOARD, 10.0, least=LEAST_LATENCY, clock=clock)
    joules = drive(policy, clock, 600, bps=2e6)
    assert policy.controller.average_power_w == pytest.approx(2.7 + np.mean(joules))
    assert 3.2 * 0.95 < policy.controller.average_power_w < 3.2 * 1.02, "kept, and not for nothing"
    free = ControlPolicy(MODEL, Targets(1.0), BOARD, 10.0, least=LEAST_LATENCY, clock=Recorded())
    drive(free, Recorded(settable=False), 50, bps=2e6)
    assert free.controller.average_power_w > 3.3


def test_times_are_learned_at_the_profiled_clock() -> None:
    """A slow level does not make the device look slow: it is chosen again and again, and its prediction is right."""
    clock = Recorded()
    policy = ControlPolicy(MODEL, Targets(0.5), BOARD, 50.0, clock=clock)
    drive(policy, clock, 50, bps=2e5)
    assert policy._device.slowdown(60.0) == pytest.approx(1.0, abs=0.02)


def test_without_a_clock_the_device_stays_at_its_first_level_and_says_so() -> None:
    policy = ControlPolicy(MODEL, Targets(0.5), BOARD, 20.0)
    assert policy.said == "the clock stays as it is: the policy was given none"
    choice = policy.choose(parts_at(4e6), 0.1, 0.0)
    assert "at 1.5 GHz" in choice.why and choice.fastest in PI
    other = ControlPolicy(MODEL, Targets(0.5), BOARD, 20.0, clock=NoClock("there is none"))
    assert other.said.endswith("there is none")


def test_a_clock_that_refuses_is_told_once_and_left_alone() -> None:
    clock = Recorded(refuses="not permitted")
    policy = ControlPolicy(MODEL, Targets(0.5), BOARD, 50.0, clock=clock)
    with pytest.warns(CicWarning, match="was refused: not permitted"):
        policy.choose(parts_at(2e5), 0.1, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "at 1.5 GHz" in policy.choose(parts_at(2e5), 0.1, 1.0).why
    assert "refused" in policy.said and not clock.levels


def test_the_joules_of_bits_count() -> None:
    def sent(per_bit: float) -> str:
        device = ControlledDevice(Energy(6.4, 4.0, 3.2, 2.9, send_j_per_bit=per_bit), 2.7)
        return ControlPolicy(MODEL, Targets(1.0), device, 1e3).choose(parts_at(2e7), 0.1, 0.0).cut

    assert PI[sent(0.0)].upload_bytes > PI[sent(1e-4)].upload_bytes == 0


def test_transmit_rates_are_refused() -> None:
    with pytest.raises(CostError, match="1 transmit rates, and a session sends as fast as the link allows"):
        ControlPolicy(MODEL, Targets(1.0), ControlledDevice(Energy(5, 5, 5, 5), rates=(TransmitRate(1e6, 4.0),)), 1.0)


def test_a_session_answers_under_control(project: Project) -> None:
    model = cic.load(project.file)
    image = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    clock = Recorded()
    policy = ControlPolicy(model, Targets(50.0, 3.0), BOARD, 1.0, clock=clock)
    with Session(project.split, model, policy=policy) as session:
        plain = Session(project.split, model)
        expected = plain(image)
        plain.close()
        for _ in range(5):
            inference = session.infer(image)
            assert np.allclose(inference.output, expected, rtol=1e-4, atol=1e-5) and inference.outcome == "local"
            assert "the least weighted sum" in inference.why
    policy.close()
    assert policy.controller.frames >= 4 and policy.controller.joules > 0
    assert policy.controller.queues != Queues() or policy.controller.average_power_w < 3.0
    assert clock.levels[-1] is None
