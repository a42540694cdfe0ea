"""The server is waited for while that is likely to pay, never beyond a deadline that the device can keep."""

from __future__ import annotations

import random
from math import inf

from cic.session.abandon_rule import LATE, Patience, Progress


def waited(patience: Patience, arrived: float, total: int = 100_000) -> float:
    """When a server that never answers is given up, if the upload goes on at `arrived` bytes a second."""
    look_s: float | None = patience.first_look_s()
    while look_s is not None:
        last_s = look_s
        look_s = patience.next_look_s(Progress(look_s, min(total, int(arrived * look_s)), total))
        assert look_s is None or look_s > last_s
    return last_s


def test_nobody_waits_much_longer_than_half_of_the_local_answer() -> None:
    draw = random.Random(0)
    for _ in range(500):
        expected_s, local_s = draw.uniform(0.001, 2.0), draw.uniform(0.001, 2.0)
        reply_s = expected_s * draw.random()
        rate = draw.choice([0, 1e4, 1e6, 1e9])
        given_up_s = waited(Patience(expected_s, local_s, None, 60.0, reply_s), rate)
        assert given_up_s >= LATE * expected_s, "before, it is not late"
        # All bytes are seen to have arrived, if they do before the rest would take longer than the device.
        seen_s = max(LATE * expected_s, 1.25 * min(100_000 / (rate or 1e-9), 3.0))
        arrived_s = seen_s + reply_s + local_s / 2 if rate >= 1e6 else 0.0
        assert given_up_s <= max(LATE * expected_s, expected_s + local_s / 2, arrived_s) + max(0.01, local_s / 3)


def test_a_server_that_has_all_bytes_gets_its_predicted_time() -> None:
    """Expected were 60 ms, 15 of them the server's; the device takes 70 more."""
    patience = Patience(0.06, 0.07, None, 60.0, 0.015)
    first_s = patience.first_look_s()
    next_s = patience.next_look_s(Progress(first_s, 100_000, 100_000))
    assert next_s is not None, "a reply that comes now is there sooner than the device's answer"
    given_up_s = waited(Patience(0.06, 0.07, None, 60.0, 0.015), arrived=1e9)
    assert first_s + 0.015 <= given_up_s <= first_s + 0.015 + 0.07 / 2 + 0.02
    # It is the delay of the server that counts, and not that of an upload which was slow before.
    slow = Patience(0.06, 0.5, None, 60.0, 0.015)
    assert slow.next_look_s(Progress(0.11, 50_000, 100_000)) is not None
    assert slow.next_look_s(Progress(0.40, 100_000, 100_000)) is not None
    assert slow.next_look_s(Progress(0.60, 100_000, 100_000)) is not None
    assert slow.next_look_s(Progress(0.70, 100_000, 100_000)) is None


def test_a_link_that_became_slow_is_seen_at_the_first_look() -> None:
    # 100 kB at 100 kB/s take a second; expected were 10 ms.
    assert waited(Patience(0.01, 0.2, None, 60.0), arrived=1e5) <= 2 * 0.01 + 0.002
    # Where the device would take even longer, it is waited for.
    assert waited(Patience(0.01, 2.0, None, 60.0), arrived=1e5) > 1.0


def test_a_stalled_upload_is_seen_at_the_first_look() -> None:
    patience = Patience(0.1, 0.5, None, 60.0)
    assert patience.next_look_s(Progress(0.182, 0, 100_000)) is None


def test_a_deadline_leaves_the_device_its_time() -> None:
    draw = random.Random(1)
    kept = 0
    for _ in range(500):
        expected_s, local_s, deadline_s = (draw.uniform(0.001, 1.0) for _ in range(3))
        given_up_s = waited(Patience(expected_s, local_s, deadline_s, 60.0), draw.choice([0, 1e5, 1e9]))
        assert given_up_s <= deadline_s
        if deadline_s - 1.15 * local_s - 0.003 > 0:
            assert given_up_s + local_s < deadline_s
            kept += 1
    assert kept > 50


def test_where_the_device_cannot_answer_the_server_has_all_the_time() -> None:
    assert waited(Patience(0.01, None, None, 60.0), 0) == 60.0
    assert waited(Patience(0.01, None, 5.0, 60.0), 0) == 5.0


def test_a_deadline_that_does_not_rely_on_the_device_is_the_end() -> None:
    """The device would be late if it began after 20 ms; who relies on the server waits on, as long as that is sooner."""
    relying = Patience(0.03, 0.06, 0.08, 60.0, margin=inf)
    assert relying.first_look_s() == LATE * 0.03 + 0.002
    assert Patience(0.03, 0.06, 0.08, 60.0, margin=1.0).first_look_s() <= 0.08 - 0.06
    assert waited(Patience(0.05, 5.0, 0.08, 60.0, margin=inf), 1e9) == 0.08


def test_a_margin_is_what_the_device_is_left() -> None:
    draw = random.Random(4)
    for _ in range(200):
        expected_s, local_s, deadline_s = (draw.uniform(0.001, 1.0) for _ in range(3))
        margin = draw.uniform(1.0, 2.0)
        given_up_s = waited(Patience(expected_s, local_s, deadline_s, 60.0, margin=margin), draw.choice([0, 1e5, 1e9]))
        assert given_up_s + margin * local_s <= deadline_s or deadline_s < margin * local_s + 0.003
