"""Timing on clocks that are made up: what is stored is elapsed time, and it is right whatever withholds the processor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cost.quota_group import quota_group
from cic.cost import timing
from cic.cost.control_group import Throttling
from cic.cost.measurement import describe_measurement
from cic.cost.timing import LOW_QUANTILE, MEAN, MEDIAN, Pace, Reading, Session, Timing, take_turns, total_pace

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Made:
    """A machine that runs a thread under a quota, given as processors, in periods; beside it, `others` take their share."""

    quota: float = 1.0
    period_s: float = 0.1
    threads: int = 1
    busy: Callable[[float], float] = lambda _: 1.0
    elapsed: float = 0.0
    thread: float = 0.0
    used: float = 0.0
    periods: int = 0
    throttled: int = 0

    def run(self, seconds: float) -> None:
        """Compute for so many seconds of each thread's processor."""
        left = seconds
        while left > 1e-12:
            budget = self.quota * self.period_s - self.used
            step = min(left, max(budget, 0.0) / self.threads)
            stopped = self.quota < self.threads and step < left
            self._pass(step if stopped else left)
            if stopped:
                self._next_period()
            left -= step if stopped else left

    def _pass(self, seconds: float) -> None:
        before = self._period()
        self.elapsed += seconds * self.busy(self.elapsed)
        self.thread += seconds
        self.used += seconds * self.threads
        if self._period() != before:
            self.periods += 1
            self.used = 0.0

    def _next_period(self) -> None:
        self.elapsed = (self._period() + 1) * self.period_s
        self.periods += 1
        self.throttled += 1
        self.used = 0.0

    def _period(self) -> int:
        return int(self.elapsed / self.period_s + 1e-6)

    def clock(self) -> Reading:
        return Reading(self.elapsed, self.thread, self.thread * self.threads)


def timed(machine: Made, works_s: list[float], budget_s: float, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(timing, "groups_here", tuple)
    monkeypatch.setattr(timing, "read_throttling", lambda _: (Throttling(machine.periods, machine.throttled),))
    return take_turns([lambda work=work: machine.run(work) for work in works_s], budget_s, clock=machine.clock)


def test_on_a_quiet_machine_the_median_is_what_a_run_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = timed(Made(), [1e-5, 2e-3, 0.05], 2.0, monkeypatch)
    assert session.pace.statistic == MEDIAN
    assert session.seconds == pytest.approx((1e-5, 2e-3, 0.05))
    assert describe_measurement(session.pace, session.timings[2], 3, None).warning == ""


@pytest.mark.parametrize("period_s", [0.1, 0.005])
@pytest.mark.parametrize("quota", [0.25, 0.5])
@pytest.mark.parametrize("threads", [1, 2])
def test_under_a_quota_short_and_long_runs_take_what_they_take_on_average(
    monkeypatch: pytest.MonkeyPatch, quota: float, period_s: float, threads: int
) -> None:
    """A short op is rarely stopped and a long one always; sums of short ops must tell the time of the long one."""
    machine = Made(quota=quota, period_s=period_s, threads=threads)
    works_s = [3e-4, 2e-3, 0.018, 0.2]
    session = timed(machine, works_s, 10.0, monkeypatch)
    assert session.pace.statistic == MEAN
    for work_s, seconds in zip(works_s, session.seconds, strict=True):
        started, times = machine.elapsed, max(1, round(5 / work_s))
        for _ in range(times):
            machine.run(work_s)
        assert seconds == pytest.approx((machine.elapsed - started) / times, rel=0.03)
    described = describe_measurement(session.pace, session.timings[3], 3, quota)
    assert described.clock == "elapsed" and described.throttled > 0.5 and f"a quota of {quota:.2f}" in described.warning
    assert ("one thread is steadier" in described.warning) == (threads > 1)
    assert described.elapsed_s / described.processor_s == pytest.approx(threads / quota, rel=0.05)


def test_while_others_take_turns_the_low_quantile_is_what_a_quiet_machine_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Made(busy=lambda now: 3.0 if int(now * 10) % 3 else 1.0)
    session = timed(machine, [1e-3, 0.01], 5.0, monkeypatch)
    assert session.pace.statistic == LOW_QUANTILE
    assert session.seconds == pytest.approx((1e-3, 0.01), rel=0.05)
    described = describe_measurement(session.pace, session.timings[1], 3, None)
    assert "busy with other work" in described.warning
    assert described.whole_low_s < described.whole_median_s and described.spread > 0.5


def test_a_wait_that_takes_no_processor_is_time_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accelerator or a disk: processor time stands still and the answer is as late."""
    machine = Made()

    def wait() -> None:
        machine.elapsed += 0.004

    monkeypatch.setattr(timing, "groups_here", tuple)
    session = take_turns([wait], 1.0, clock=machine.clock)
    assert session.seconds == pytest.approx((0.004,))
    assert describe_measurement(session.pace, session.timings[0], 3, None).warning


def test_samples_leave_no_gap_in_which_a_stop_could_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    session = timed(Made(quota=0.3), [0.004, 0.011], 3.0, monkeypatch)
    assert sum(sum(each.elapsed_s) for each in session.timings) == pytest.approx(session.pace.elapsed_s)
    assert sum(sum(each.process_s) for each in session.timings) == pytest.approx(session.pace.process_s)


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=50))
@settings(max_examples=50)
def test_quantiles_are_in_order_and_of_the_samples(elapsed: list[float]) -> None:
    times = Timing(tuple(elapsed), tuple(elapsed))
    assert min(elapsed) <= times.low_s <= times.median_s * (1 + 1e-12) <= max(elapsed) * (1 + 1e-9)
    assert min(elapsed) <= times.mean_s * (1 + 1e-9) and times.spread >= 0
    assert (times + times).median_s == pytest.approx(times.median_s)


def test_the_paces_of_sessions_add_up() -> None:
    one, two = Pace(1.0, 0.5, 0.5, Throttling(10, 9)), Pace(3.0, 0.5, 0.6, Throttling(30, 3))
    sessions = [Session((), one), Session((), two)]
    assert total_pace(sessions) == Pace(4.0, 1.0, 1.1, Throttling(40, 12))
    assert one.throttled == 0.9 and Pace().throttled == 0


INSIDE = """
import json, sys, time
from pathlib import Path
from benchmarks.cost.quota_group import QuotaGroup
from cic.cost.timing import take_turns

def compute(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

group = QuotaGroup(Path(sys.argv[1]), sys.argv[2] == "True")
group.limit(0.25, 0.02)
group.join()
session = take_turns([lambda: compute(5e-4), lambda: compute(0.02)], 1.0)
print(json.dumps([session.seconds, session.pace.statistic]))
"""


def test_the_kernel_itself_tells_of_a_quota() -> None:
    try:
        with quota_group("cic-test-timing") as group:
            command = [sys.executable, "-c", INSIDE, str(group.folder), str(group.old)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    (short, long), statistic = json.loads(done.stdout)
    assert statistic == MEAN
    # At least four times the processor time, however busy the machine is beside the quota.
    assert short > 0.8 * 4 * 5e-4 and long > 0.8 * 4 * 0.02
    assert long / short == pytest.approx(40, rel=0.3)
