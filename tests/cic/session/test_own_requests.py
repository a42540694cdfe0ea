"""What the server was at a request before is not counted to the one after it."""

from __future__ import annotations

from cic.session.link_estimate import Exchanged
from cic.session.own_requests import OwnRequests


def busy(server_s: float) -> Exchanged:
    return Exchanged(1000, 300, 0.1, 0.1, server_s, 0.0)


def test_waiting_for_ones_own_requests_is_left_out() -> None:
    own = OwnRequests()
    assert [own.asked() for _ in range(3)] == [0, 1, 2]
    # Each takes 10 ms; the second waited for as long, the third for twice as long.
    assert own.ended(busy(0.010), 5.010) == 0.010
    assert abs((own.ended(busy(0.020), 5.020) or 0) - 0.010) < 1e-9
    assert own.ended(None, 5.021) is None, "it was given up"
    assert own.asked() == 0
    # After a pause what the server says holds, whoever it waited for.
    assert own.ended(busy(0.050), 6.0) == 0.050
