"""A plan names the best cut that can be run, and the one wished for; a probe is sent where there is something to gain."""

from __future__ import annotations

import random
from collections.abc import Collection
from math import exp, inf

import pytest

from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.session.forecast import Forecast
from cic.session.link_estimate import Exchanged, LinkEstimate
from cic.session.planning import Planner, pause_after_probe_s
from cic.session.switching_rule import SwitchingRule, interval_of
from tests.cic.session.simulated_link import PI


def planner(uplink_bps: float | None = None) -> Planner:
    link = LinkEstimate(2e6, 1.0, 0.01)
    if uplink_bps is not None:
        for step in range(3):
            link.observe(Exchanged(50_000, 300, 0.01 + 50_000 * 8 / uplink_bps, 0.01 + 50_000 * 8 / uplink_bps), step * 0.1)
    return Planner(PI, Forecast(link), SwitchingRule())


def among(ids: Collection[str]) -> object:
    return lambda cut: cut.id in ids


def every(_: Cut) -> bool:
    return True


@pytest.mark.parametrize("uplink_bps", [0.1e6, 2e6, 8e6, 100e6])
def test_the_plan_is_the_fastest_cut_and_says_so(uplink_bps: float) -> None:
    chosen = planner(uplink_bps)
    plan = chosen.plan(every, every, 0.3)
    parts = chosen.forecast.all_parts(PI, plan.conditions)
    assert plan.label == plan.wished == min(parts, key=lambda label: parts[label].latency_s)
    assert plan.parts == parts[plan.label]
    assert plan.local_s == parts[DEVICE_ONLY].latency_s and plan.server_only_s == parts[SERVER_ONLY].latency_s
    assert (plan.why.startswith(f"{plan.label} at ") and "Mbit/s" in plan.why) or "kbit/s" in plan.why


def test_a_cut_that_is_not_ready_is_wished_for() -> None:
    plan = planner(100e6).plan(among({DEVICE_ONLY, "late"}), every, 0.3)  # type: ignore[arg-type]
    assert (plan.label, plan.wished) == ("late", SERVER_ONLY) and "server-only is faster and not ready" in plan.why


def test_a_deadline_that_the_device_can_keep_is_not_risked() -> None:
    chosen = planner(100e6)
    plan = chosen.plan(every, every, 0.3)
    assert plan.label == SERVER_ONLY and plan.local_s is not None
    both_s = plan.parts.latency_s + 1.15 * plan.local_s + 0.003
    assert chosen.plan(every, every, 0.3, both_s + 1e-6).label == SERVER_ONLY
    risked = chosen.plan(every, every, 0.3, both_s - 1e-6)
    # The other cuts are slower, so they would risk it, too.
    assert (risked.label, risked.wished) == (DEVICE_ONLY, DEVICE_ONLY) and "server-only is faster and would risk" in risked.why
    # What the device cannot keep either is for the server to try.
    assert chosen.plan(every, every, 0.3, plan.local_s).label == SERVER_ONLY
    assert planner(100e6).plan(every, every, 0.3, 0.01).label == SERVER_ONLY


def test_a_cut_that_can_never_be_ready_is_not_wished_for() -> None:
    some = among({DEVICE_ONLY, "late"})
    plan = planner(100e6).plan(some, some, 0.3)  # type: ignore[arg-type]
    assert (plan.label, plan.wished) == ("late", "late")
    plan = planner(100e6).plan(lambda _: False, some, 0.3)  # type: ignore[arg-type]
    assert plan.label == "late"


def test_a_probe_is_worth_it_where_a_better_link_would_change_the_cut() -> None:
    unknown = planner()
    assert unknown.worth_a_probe(every, 0.0) is not None
    fast = planner(200e6)
    fast.plan(every, every, 0.3)
    assert fast.worth_a_probe(every, 0.3) is None, "nothing is better than the best"
    slow = planner(0.2e6)
    assert slow.plan(every, every, 0.3).label == DEVICE_ONLY
    assert slow.worth_a_probe(every, 0.3) is None, "it is known well, and bad"
    assert slow.worth_a_probe(every, 15.0) is not None
    assert slow.worth_a_probe(lambda _: False, 15.0) is None


def test_a_probe_costs_the_device_little() -> None:
    slow = planner(0.2e6)
    slow.plan(every, every, 0.3)
    label = slow.worth_a_probe(every, 15.0)
    assert label == SERVER_ONLY, "its head has next to nothing to do"


def test_probes_take_a_small_share_of_the_time() -> None:
    for device_s, exchange_s in ((0.0, 0.001), (0.001, 0.5), (0.2, 0.01), (1.0, 30.0)):
        pause_s = pause_after_probe_s(device_s, exchange_s)
        assert device_s <= 0.0201 * pause_s and min(exchange_s, 0.2) <= 0.101 * pause_s


def by_throughput(uplink_bps: float) -> Planner:
    planned = planner(uplink_bps)
    return Planner(PI, planned.forecast, SwitchingRule(cost=interval_of))


@pytest.mark.parametrize("uplink_bps", [0.1e6, 2e6, 8e6, 30e6, 100e6])
def test_by_throughput_the_cut_with_the_fastest_slowest_stage_is_chosen(uplink_bps: float) -> None:
    chosen = by_throughput(uplink_bps)
    plan = chosen.plan(every, every, 0.3)
    parts = chosen.forecast.all_parts(PI, plan.conditions)
    lowest = min((each.interval_s, each.latency_s) for each in parts.values())
    assert (plan.parts.interval_s, plan.parts.latency_s) == lowest and plan.label == plan.wished
    assert plan.parts.interval_s == max(plan.parts.device_s, plan.parts.uplink_s, plan.parts.server_s, plan.parts.downlink_s)


def test_by_throughput_the_device_works_on_where_latency_would_leave_all_to_the_server() -> None:
    labels = {uplink_bps: by_throughput(uplink_bps).plan(every, every, 0.3).label for uplink_bps in (2e6, 8e6, 30e6, 100e6)}
    latencies = {uplink_bps: planner(uplink_bps).plan(every, every, 0.3).label for uplink_bps in labels}
    assert labels != latencies
    # The extremes are pipelines, too.
    assert by_throughput(1e4).plan(every, every, 0.3).label == DEVICE_ONLY
    assert by_throughput(1e9).plan(every, every, 0.3).label == SERVER_ONLY


def experienced(uplink_bps: float, noise: float, count: int = 300) -> Planner:
    """One that has seen the server answer so often, with log-normal noise."""
    chosen, draw = planner(uplink_bps), random.Random(2)
    expected = chosen.expected(SERVER_ONLY, 0.3)
    for _ in range(count):
        chosen.intervals.probed(expected, expected.latency_s * exp(draw.gauss(0.0, noise)))
    return chosen


def test_a_server_that_is_known_to_be_in_time_is_asked_though_the_device_could_not_answer_after_it() -> None:
    naive, knowing = planner(100e6), experienced(100e6, 0.1)
    fast = knowing.plan(every, every, 0.3)
    assert fast.label == SERVER_ONLY and fast.local_s is not None
    due_s = 1.2 * fast.local_s
    assert naive.plan(every, every, 0.3, due_s).label == DEVICE_ONLY
    plan = knowing.plan(every, every, 0.3, due_s)
    assert (plan.label, plan.in_time, plan.margin) == (SERVER_ONLY, True, inf)
    # Neither keeps this one; the server is more likely to.
    plan = knowing.plan(every, every, 0.3, fast.parts.latency_s)
    assert (plan.label, plan.in_time) == (SERVER_ONLY, False) and "no cut is sure to keep the deadline" in plan.why
    assert fast.in_time is None


def test_a_plan_promises_a_time_that_is_kept_as_often_as_it_says() -> None:
    for noise in (0.02, 0.1, 0.4):
        chosen, draw, kept = experienced(100e6, noise), random.Random(3), 0
        for _ in range(1000):
            plan = chosen.plan(every, every, 0.3)
            latency_s = plan.parts.latency_s * exp(draw.gauss(0.0, noise))
            assert plan.promise.upper_s is not None
            kept += latency_s <= plan.promise.upper_s
            chosen.intervals.saw(plan.promise, latency_s)
        assert 930 <= kept <= 970


def test_what_the_device_can_answer_in_time_is_not_left_to_a_server_that_varies() -> None:
    shaky = experienced(100e6, 1.5)
    local_s = shaky.plan(every, every, 0.3).local_s
    assert local_s is not None
    plan = shaky.plan(every, every, 0.3, 1.16 * local_s + 0.003)
    assert plan.label == DEVICE_ONLY and plan.in_time and "server-only is faster and would risk" in plan.why
