"""Levels by the two models: the fastest is as it was given, slower ones draw less, and never less than idle."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cic.control.levels import ClockLevel, TransmitRate, cubic_levels, shannon_rates
from cic.errors import CostError, UnitError


def test_cubic_levels_begin_with_the_busy_device_and_fall_with_the_cube() -> None:
    levels = cubic_levels((6e8, 1.5e9, 1e9, 1e9), 2.7, 6.4)
    assert [level.hz for level in levels] == [1.5e9, 1e9, 6e8]
    assert (levels[0].seconds_factor, levels[0].compute_w) == (1.0, pytest.approx(6.4))
    for level in levels:
        assert level.seconds_factor * level.hz == pytest.approx(1.5e9)
        assert (level.compute_w - 2.7) * level.seconds_factor**3 == pytest.approx(6.4 - 2.7)
    # The same work takes less energy above idle, and more time.
    assert all(
        slow.compute_w > 2.7 and (slow.compute_w - 2.7) * slow.seconds_factor < (fast.compute_w - 2.7) * fast.seconds_factor
        for fast, slow in pairwise(levels)
    )
    assert [level.shown for level in levels] == ["1.5 GHz", "1 GHz", "600 MHz"]


def test_shannon_rates_begin_with_the_sending_device_and_cost_less_a_bit_the_slower_they_are() -> None:
    rates = shannon_rates((1e6, 8e6, 4e6), 2.0, 4.0, 4e6)
    assert [rate.bps for rate in rates] == [8e6, 4e6, 1e6] and rates[0].send_w == pytest.approx(4.0)
    assert (rates[1].send_w - 2.0) * 3 == pytest.approx(rates[0].send_w - 2.0), "2^2 - 1 is three times 2^1 - 1"
    assert all((slow.send_w - 2) / slow.bps < (fast.send_w - 2) / fast.bps for fast, slow in pairwise(rates))
    assert rates[2].shown == "1 Mbit/s"


def test_levels_that_cannot_be_are_refused() -> None:
    with pytest.raises(CostError, match="there is no frequency"):
        cubic_levels((), 1.0, 2.0)
    with pytest.raises(CostError, match="one that waits 3 W; it must draw more"):
        cubic_levels((1e9,), 3.0, 2.0)
    with pytest.raises(CostError, match="that sends draws 2 W"):
        shannon_rates((1e6,), 3.0, 2.0, 1e6)
    for make in (lambda: ClockLevel(0.0, 1.0, 1.0), lambda: ClockLevel(1e9, -1.0, 1.0), lambda: TransmitRate(1e6, 0.0)):
        with pytest.raises(UnitError):
            make()
