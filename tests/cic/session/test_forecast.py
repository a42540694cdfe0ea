"""The forecast of a cut: profiled times at the present slowdowns, and the bytes that its requests really have."""

from __future__ import annotations

import pytest

from cic.decision.conditions import Conditions
from cic.session.forecast import OVERHEAD_DOWN_BYTES, OVERHEAD_UP_BYTES, Forecast, Parts
from cic.session.link_estimate import Exchanged, LinkEstimate
from tests.cic.session.simulated_link import PI, cut

NOW = Conditions(8e6, 16e6, 0.01, 2.0, 3.0)


def forecast() -> Forecast:
    return Forecast(LinkEstimate(2e6, 1.0, 0.01))


def test_before_anything_was_seen_it_is_the_decision_s_with_the_protocol_s_bytes() -> None:
    for label, each in PI.items():
        parts = forecast().parts(label, each, NOW)
        device_s, uplink_s, server_s, downlink_s, rtt_s = each.terms(NOW)
        more_s = (OVERHEAD_UP_BYTES * 8 / 8e6, OVERHEAD_DOWN_BYTES * 8 / 16e6) if each.offloads else (0.0, 0.0)
        assert parts.device_s == pytest.approx(device_s) and parts.server_s == pytest.approx(server_s)
        assert parts.uplink_s == pytest.approx(uplink_s + more_s[0]) and parts.downlink_s == pytest.approx(
            downlink_s + more_s[1]
        )
        assert parts.rtt_s == pytest.approx(rtt_s)
        assert parts.latency_s == pytest.approx(parts.terms.latency_s) == pytest.approx(parts.device_s + parts.exchange_s)


def test_bytes_are_those_that_were_sent() -> None:
    known, early = forecast(), cut("early", 40, 60_000, 12)
    for step in range(5):
        known.saw_exchange("early", early, Exchanged(30_000, 500, 0.05, 0.051, 0.012, 0.03), step * 0.1)
    parts = known.parts("early", early, NOW)
    assert parts.uplink_s == pytest.approx(30_000 * 8 / 8e6) and parts.downlink_s == pytest.approx(500 * 8 / 16e6)
    assert known.parts("other", early, NOW).uplink_s > 2 * parts.uplink_s * 0.99


def test_made_up_values_say_nothing_of_sizes() -> None:
    known, early = forecast(), cut("early", 40, 60_000, 12)
    before = known.parts("early", early, NOW).uplink_s
    known.saw_exchange("early", early, Exchanged(300, 500, 0.01, 0.011, 0.012), 0.1, real=False)
    assert known.parts("early", early, NOW).uplink_s == before
    known.saw_exchange("early", early, Exchanged(300, 500, 0.01, 0.011, 0.012), 0.2)
    assert known.parts("early", early, NOW).uplink_s < before / 10


def test_times_that_were_seen_count() -> None:
    known, early = forecast(), cut("early", 40, 60_000, 12)
    for step in range(40):
        known.saw_device("early", early, 0.12, step * 0.1)
        known.saw_exchange("early", early, Exchanged(60_000, 500, 0.1, 0.1, 0.006, 0.03), step * 0.1)
    parts = known.parts("early", early, known.conditions(4.0))
    assert parts.device_s == pytest.approx(0.12, rel=0.02) and parts.server_s == pytest.approx(0.006, rel=0.05)


def test_a_server_that_tells_no_times_is_not_taken_for_a_fast_one() -> None:
    known, early = forecast(), cut("early", 40, 60_000, 12)
    for step in range(20):
        known.saw_exchange("early", early, Exchanged(60_000, 500, 0.1, 0.1), step * 0.1)
    assert known.conditions(2.0).server_slowdown == 1.0


def test_parts_have_all_the_latency() -> None:
    assert Parts(1.0, 2.0, 3.0, 4.0, 5.0).latency_s == 15.0 and Parts(1.0).latency_s == 1.0
