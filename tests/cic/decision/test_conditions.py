"""Conditions as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.decision.conditions import Box, Conditions
from cic.errors import CicError, CompileError, UnitError


def test_texts_and_numbers_say_the_same() -> None:
    written = Conditions("20Mbps", downlink="50Mbps", rtt="10ms", server_slowdown=2.0)
    assert written.numbers == Conditions(2e7, 5e7, 0.01, 1.0, 2.0).numbers
    assert Conditions("20Mbps").numbers == (2e7, 2e7, 0.0, 1.0, 1.0)
    assert repr(written) == "Conditions(uplink=2e+07, downlink=5e+07, rtt=0.01, device_slowdown=1, server_slowdown=2)"


@pytest.mark.parametrize("name", ["uplink", "downlink", "rtt", "device_slowdown"])
def test_a_text_that_cannot_be_understood_is_named(name: str) -> None:
    with pytest.raises(UnitError, match=f"{name} .*9 km"):
        Conditions(**{"uplink": 1e6, name: "9 km"})  # type: ignore[arg-type]


def test_boxes_upside_down_or_unreadable_are_refused() -> None:
    for bad in [{"uplink": (2e6, 1e6)}, {"rtt": ("1s",)}, {"device_slowdown": 3}, {"uplink": "1Mbps"}]:
        with pytest.raises(CompileError):
            Box(**bad)  # type: ignore[arg-type]
    with pytest.raises(CicError):
        Box(uplink=(0, 1e6))


def test_edges_of_the_box_are_inside() -> None:
    box = Box()
    for uplink in box.uplink_bps:
        for ratio in box.downlink_ratio:
            assert box.contains(Conditions(uplink, uplink * ratio, 0.5, 0.5, 50.0))
    assert not box.contains(Conditions(1e6, 1e6, 0.6))
    assert not box.contains(Conditions(1e6, 0.5e6, 0.1))


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (Conditions(20.0), "uplink 20 bit/s, not 50 kbit/s to 10 Gbit/s"),
        (Conditions(1e6, 5e5), "downlink 500 kbit/s, not 1 Mbit/s to 10 Mbit/s"),
        (Conditions(1e6, rtt=40.0), "round trip 40 s, not 0 s to 500 ms"),
        (Conditions(1e6, device_slowdown=20), "device slowdown 20, not 0.5 to 10"),
        (Conditions(1e6, server_slowdown=0.1), "server slowdown 0.1, not 0.25 to 50"),
    ],
)
def test_what_lies_outside_is_named_with_its_range(conditions: Conditions, said: str) -> None:
    assert Box().outside(conditions) == (said,)
    assert not Box().contains(conditions)


@given(st.floats(1e3, 1e11), st.floats(0.1, 20), st.floats(0, 1), st.floats(0.1, 20), st.floats(0.1, 100))
def test_nothing_is_outside_if_and_only_if_the_box_contains_it(
    uplink: float, ratio: float, rtt: float, device: float, server: float
) -> None:
    conditions = Conditions(uplink, uplink * ratio, rtt, device, server)
    assert (Box().outside(conditions) == ()) == Box().contains(conditions)


def test_conditions_are_equal_where_their_numbers_are() -> None:
    assert Conditions("20Mbps", rtt="10ms") == Conditions(20e6, 20e6, 0.01)
    assert len({Conditions(20e6), Conditions(20e6), Conditions(20e6, rtt=1.0)}) == 2
    assert Conditions(20e6) != 20e6
