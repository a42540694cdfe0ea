"""Averages weigh by age and weight, whatever the clock does."""

from __future__ import annotations

import pytest

from cic.session.averages import Average, LowestOf


def test_a_value_of_a_half_life_ago_weighs_half() -> None:
    average = Average(2.0)
    assert average.mean is None
    average.add(10.0, 3.0, 100.0)
    assert average.mean == 10.0
    average.add(1.0, 1.0, 102.0)
    assert average.mean == pytest.approx((10 * 1.5 + 1) / 2.5)
    average.add(1.0, 1.0, 1e6)
    assert average.mean == pytest.approx(1.0)


def test_a_clock_that_goes_back_stands_still() -> None:
    average = Average(1.0)
    average.add(1.0, 1.0, 10.0)
    average.add(3.0, 1.0, 5.0)
    assert average.mean == pytest.approx(2.0)
    average.add(5.0, 2.0, 10.0)
    assert average.mean == pytest.approx((1 + 3 + 10) / 4)


def test_the_lowest_of_a_window_is_forgotten_after_it() -> None:
    lowest = LowestOf(10.0)
    assert lowest.lowest is None
    seen = {0.0: 5.0, 1.0: 2.0, 4.0: 7.0, 6.0: 4.0, 9.0: 6.0, 11.0: 6.0, 12.0: 8.0, 17.0: 9.0}
    found = {}
    for at_s, value in seen.items():
        lowest.add(value, at_s)
        found[at_s] = lowest.lowest
    # Never forgotten within half a window, always after a whole one.
    assert found[4.0] == found[6.0] == 2.0
    assert found[12.0] >= 4.0 and found[17.0] >= 6.0
    lowest.add(50.0, 100.0)
    assert lowest.lowest == 50.0
