"""A cut is tried if it is in time, or leaves the device its time; otherwise the likeliest is."""

from __future__ import annotations

import random
from math import exp, inf

from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.session.abandon_rule import latest_start_s
from cic.session.deadline_rule import likeliest, margins_in_time
from cic.session.forecast import Parts
from cic.session.intervals import KEPT, Intervals
from tests.cic.session.simulated_link import PI

PARTS = {
    SERVER_ONLY: Parts(0.001, 0.012, 0.015, 0.001, 0.001),
    "early": Parts(0.04, 0.005, 0.012, 0.001, 0.001),
    "late": Parts(0.15, 0.001, 0.008, 0.001, 0.001),
    DEVICE_ONLY: Parts(0.4),
}


def learned(server_noise: float, device_noise: float, count: int = 300) -> Intervals:
    """After so many inferences with log-normal noise on either side."""
    intervals, rng = Intervals(), random.Random(1)
    expected = intervals.expected(PARTS[SERVER_ONLY], 0.0, offloads=True)
    for _ in range(count):
        intervals.probed(expected, expected.latency_s * exp(rng.gauss(0.0, server_noise)))
        intervals.saw_local(0.4, 0.4 * exp(rng.gauss(0.0, device_noise)))
    return intervals


def test_without_experience_it_is_the_fixed_margin() -> None:
    intervals = Intervals()
    for deadline_s in (0.02, 0.3, 0.46, 0.47, 0.5, 0.62, 0.9):
        last_s = latest_start_s(deadline_s, 0.4)
        margins = margins_in_time(PI, PARTS, intervals, 0.1, 0.4, deadline_s)
        expected = {label for label, parts in PARTS.items() if (last_s >= 0 if label == DEVICE_ONLY else last_s >= sum(parts))}
        assert margins.keys() == expected and set(margins.values()) <= {1.15}


def test_a_device_that_is_steady_leaves_the_server_more_time_and_one_that_is_not_less() -> None:
    steady, shaky = learned(0.1, 0.01), learned(0.1, 0.3)
    assert 1.0 < steady.local_margin < 1.1 < 1.5 < shaky.local_margin
    for intervals in (steady, shaky):
        for deadline_s in (0.42, 0.45, 0.6, 0.9):
            margins = margins_in_time(PI, PARTS, intervals, 0.0, 0.4, deadline_s)
            assert (DEVICE_ONLY in margins) == (latest_start_s(deadline_s, 0.4, intervals.local_margin) >= 0)
    assert DEVICE_ONLY in margins_in_time(PI, PARTS, steady, 0.0, 0.4, 0.45)
    assert DEVICE_ONLY not in margins_in_time(PI, PARTS, shaky, 0.0, 0.4, 0.45)


def test_a_server_that_is_known_well_needs_no_device() -> None:
    intervals = learned(0.1, 0.01)
    upper_s = intervals.upper_s(intervals.expected(PARTS[SERVER_ONLY], 0.0, offloads=True), KEPT)
    assert upper_s is not None and 0.03 < upper_s < 0.045
    for local_s in (0.4, None):
        margins = margins_in_time(PI, PARTS, intervals, 0.0, local_s, upper_s)
        assert margins == {SERVER_ONLY: inf}, "early takes twice as long, and the device cannot answer in that time"
        assert not margins_in_time(PI, PARTS, intervals, 0.0, local_s, upper_s * 0.999)
    few = learned(0.1, 0.01, count=90)
    assert not margins_in_time(PI, PARTS, few, 0.0, 0.4, 0.2), "90 do not tell what one in a hundred takes"
    # Who depends on the uplink is not relied on where that is not known.
    assert not margins_in_time(PI, PARTS, intervals, 0.5, None, upper_s)


def test_if_nothing_is_sure_the_likeliest_is_tried() -> None:
    intervals = learned(0.3, 0.1)
    for deadline_s in (0.02, 0.03, 0.05, 0.07, 0.17):
        chances = {
            label: intervals.chance(intervals.expected(parts, 0.0, offloads=label != DEVICE_ONLY), deadline_s)
            for label, parts in PARTS.items()
        }
        tried = likeliest(list(PARTS), PI, PARTS, intervals, 0.0, deadline_s)
        assert tried == [label for label, chance in chances.items() if chance == max(chances.values())]
    assert likeliest([DEVICE_ONLY, "late"], PI, PARTS, intervals, 0.0, 0.2) == ["late"]
    # What the device keeps in nine of ten cases is not left to a server that keeps it in some more.
    assert intervals.chance(intervals.expected(PARTS[SERVER_ONLY], 0.0, offloads=True), 0.47) == 1.0
    assert intervals.local_margin * 0.4 > 0.47 and likeliest(list(PARTS), PI, PARTS, intervals, 0.0, 0.47) == [DEVICE_ONLY]
    assert likeliest(list(PARTS), PI, PARTS, intervals, 0.0, 0.41) != [DEVICE_ONLY]
    assert likeliest(list(PARTS), PI, PARTS, Intervals(), 0.0, 1e-4) == list(PARTS), "nothing tells them apart"
