"""Both bandwidths and the round trip are found from exchanges of every size, and followed when they change."""

from __future__ import annotations

import random

import pytest

from cic.session.link_estimate import SAYING_BYTES, Bandwidth, Exchanged, LinkEstimate


def exchange(up: int, down: int, link: tuple[float, float, float], server_s: float = 0.0, late_s: float = 0.0) -> Exchanged:
    """As it would be timed; link: uplink, downlink, rtt."""
    uplink, downlink, rtt_s = link
    first_s = rtt_s + up * 8 / uplink + server_s + late_s
    return Exchanged(up, down, first_s, first_s + down * 8 / downlink, server_s, up * 8 / uplink)


@pytest.mark.parametrize("uplink", [1e6, 5e6, 20e6, 100e6, 400e6])
@pytest.mark.parametrize("rtt_s", [0.0003, 0.01, 0.1])
def test_small_and_large_exchanges_find_all_three(uplink: float, rtt_s: float) -> None:
    draw = random.Random(1)
    link = LinkEstimate(2e6, 1.0, 0.02)
    truth = (uplink, 3 * uplink, rtt_s)
    for step in range(60):
        size = draw.choice([150, 20_000, 100_000, 300_000])
        late_s = draw.random() * rtt_s * 0.02
        link.observe(
            exchange(size, draw.choice([300, 50_000]), truth, server_s=draw.random() * 0.02, late_s=late_s), step * 0.5
        )
    assert link.uplink_bps == pytest.approx(uplink, rel=0.12)
    assert link.downlink_bps == pytest.approx(3 * uplink, rel=0.05)
    assert link.rtt_s == pytest.approx(rtt_s, rel=0.25, abs=2e-4)


def test_a_server_that_is_busy_is_no_slow_link() -> None:
    link, truth = LinkEstimate(2e6, 1.0, 0.01), (20e6, 20e6, 0.01)
    for step in range(20):
        link.observe(exchange(150, 150, truth), step - 0.5)
        link.observe(exchange(100_000, 4000, truth, server_s=0.5 * (step % 3)), float(step))
    assert link.uplink_bps == pytest.approx(20e6, rel=0.05)
    assert link.rtt_s == pytest.approx(0.01, rel=0.05)


def test_until_something_is_known_it_is_said_and_assumed() -> None:
    link = LinkEstimate(2e6, 4.0, 0.03)
    assert not link.known and (link.uplink_bps, link.downlink_bps, link.rtt_s) == (2e6, 8e6, 0.03)
    assert link.up.hoped_bps(0.0) > 1e10
    link.observe(exchange(150, 150, (1e6, 1e6, 0.05)), 0.0)
    assert not link.known and link.rtt_s == pytest.approx(0.05, rel=0.05)
    link.observe(exchange(SAYING_BYTES, 150, (1e6, 1e6, 0.05)), 0.1)
    assert link.known and link.uplink_bps == pytest.approx(1e6, rel=0.02)
    assert link.downlink_bps == pytest.approx(4e6, rel=0.02)


def test_small_transfers_say_nothing_of_a_fast_link() -> None:
    link = LinkEstimate(2e6, 1.0, 0.01)
    for step in range(50):
        link.observe(exchange(800, 300, (500e6, 500e6, 0.01), late_s=0.001 * (step % 3)), step * 0.1)
    assert not link.known
    # And much of a slow one.
    slow = LinkEstimate(2e6, 1.0, 0.01)
    for step in range(50):
        slow.observe(exchange(150, 150, (0.2e6, 0.2e6, 0.01)), step * 0.1)
        slow.observe(exchange(5000, 300, (0.2e6, 0.2e6, 0.01)), step * 0.1 + 0.05)
    assert slow.known and slow.uplink_bps == pytest.approx(0.2e6, rel=0.1)


def test_a_drop_is_believed_at_once_and_a_rise_when_seen_twice() -> None:
    up = Bandwidth()
    for step in range(20):
        up.add(50_000, 50_000 * 8 / 20e6, step * 0.1)
    up.add(50_000, 50_000 * 8 / 2e6, 2.0)
    assert up.bps == pytest.approx(2e6, rel=0.01)
    for step in range(20):
        up.add(50_000, 50_000 * 8 / 2e6, 2.1 + step * 0.1)
    up.add(50_000, 50_000 * 8 / 20e6, 4.2)
    assert up.bps < 4e6, "a single fast transfer may have been a burst"
    up.add(50_000, 50_000 * 8 / 20e6, 4.3)
    assert up.bps == pytest.approx(20e6, rel=0.01)


def test_noise_is_averaged_and_its_size_known() -> None:
    draw, up = random.Random(3), Bandwidth()
    for step in range(200):
        up.add(50_000, 50_000 * 8 / (10e6 * draw.gauss(1.0, 0.05)), step * 0.1)
    assert up.bps == pytest.approx(10e6, rel=0.06)
    assert 0.02 < up.spread(20.0) < 0.1
    # Without news it is known less and less, and hoped for more and more.
    assert up.spread(20.0) < up.spread(25.0) < up.spread(40.0) <= 2.0
    assert up.bps < up.hoped_bps(20.0) < up.hoped_bps(25.0)


def test_it_is_hoped_that_what_was_comes_back() -> None:
    up = Bandwidth()
    up.add(50_000, 50_000 * 8 / 50e6, 0.0)
    up.add(50_000, 50_000 * 8 / 0.1e6, 5.0)
    assert up.hoped_bps(5.1) < 1e6 and up.hoped_bps(6.0) == pytest.approx(50e6)
    for step in range(200):
        up.add(5_000, 5_000 * 8 / 0.1e6, 6.0 + step)
    assert up.hoped_bps(207.0) < 1e6


def test_an_upload_that_was_given_up_shows_its_rate() -> None:
    link = LinkEstimate(50e6, 1.0, 0.01)
    link.observe(exchange(100_000, 300, (50e6, 50e6, 0.01)), 0.0)
    link.observe_unfinished(0, 3.0, 3.0)
    assert link.uplink_bps == pytest.approx(50e6, rel=0.05), "where nothing arrived it may have been the server"
    link.observe_unfinished(20_000, 0.16, 3.2)
    assert link.uplink_bps == pytest.approx(1e6, rel=0.05)


def test_a_late_packet_is_no_longer_way() -> None:
    link, truth = LinkEstimate(2e6, 1.0, 0.01), (50e6, 50e6, 0.01)
    for step in range(20):
        link.observe(exchange(150, 150, truth), step * 0.1)
    link.observe(exchange(150, 150, truth, late_s=3.0), 2.0)
    assert link.rtt_s < 0.013
    for step in range(40):
        link.observe(exchange(150, 150, (50e6, 50e6, 0.06)), 2.1 + step * 0.5)
    assert link.rtt_s == pytest.approx(0.06, rel=0.05)


@pytest.mark.parametrize("up_bytes", [300, 900])
def test_small_exchanges_alone_predict_small_exchanges(up_bytes: int) -> None:
    """A cut that sends next to nothing teaches no bandwidth; what is assumed instead must not spoil its own forecast."""
    link, truth = LinkEstimate(2e6, 1.0, 0.02), (50e6, 50e6, 0.001)
    for step in range(100):
        link.observe(exchange(up_bytes, 4_386, truth, server_s=0.0005), step * 0.01)
    took = exchange(up_bytes, 4_386, truth)
    predicted_s = link.rtt_s + up_bytes * 8 / link.uplink_bps + 4_386 * 8 / link.downlink_bps
    assert predicted_s == pytest.approx(took.last_byte_s, rel=0.35)
    # And what a large transfer shows counts at once.
    link.observe(exchange(100_000, 300, (5e6, 50e6, 0.001)), 1.0)
    assert link.uplink_bps == pytest.approx(5e6, rel=0.05)


def test_a_downlink_that_falls_and_rises_is_followed_by_replies_of_a_few_packets() -> None:
    link = LinkEstimate(2e6, 1.0, 0.02)
    for step, downlink in enumerate([50e6] * 20 + [2e6] * 20 + [50e6] * 20):
        link.observe(exchange(900, 4_386 + 1_448, (50e6, downlink, 0.001)), step * 0.05)
        if step % 20 == 19:
            assert link.downlink_bps > 0.5 * downlink
            assert link.downlink_bps < 1.5 * 2e6 or downlink > 2e6
