"""Axes: every value has a place within, and ticks are few, round and in order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.report.scales import Scale, logarithmic_scale, show_time, time_scale, time_ticks

positive = st.floats(1e-9, 1e12)


@given(st.lists(positive, max_size=20))
def test_every_positive_value_is_within_a_logarithmic_axis(values: list[float]) -> None:
    scale = logarithmic_scale(values, 10, 500)
    assert all(10 < scale.place(value) < 500 for value in values)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert len(scale.ticks) <= 9 and all(low < high for low, high in pairwise(scale.ticks))


@given(st.floats(0, 1e9))
def test_ticks_of_time_are_few_and_within(last_s: float) -> None:
    scale = time_scale(last_s, 0, 100)
    ticks = time_ticks(scale)
    assert ticks[0] == 0 and 1 <= len(ticks) <= 11 and all(0 <= scale.place(tick) <= 100.001 for tick in ticks)
    assert len({show_time(tick) for tick in ticks}) == len(ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_a_linear_axis_keeps_order(low: float, span: float) -> None:
    scale = Scale(low, low + span, 400, 0)
    assert scale.place(low) == pytest.approx(400) and scale.place(low + span) == pytest.approx(0)
    assert 2 <= len(scale.ticks) <= 10


@pytest.mark.parametrize("value", [-1e300, 0.0, 1e300])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_what_is_far_outside_stays_near_the_picture(value: float, logarithmic: bool) -> None:
    assert -20 <= Scale(1.0, 10.0, 0, 100, logarithmic).place(value) <= 120


def test_times_are_shown_as_clocks_show_them() -> None:
    assert [show_time(time_s) for time_s in (0, 0.25, 9, 90, 7500)] == ["0:00", "0.25 s", "0:09", "1:30", "2:05:00"]
