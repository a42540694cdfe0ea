"""Conditions as people write them."""

from __future__ import annotations

import pytest

from cic.decision.conditions import Conditions
from cic.errors import UnitError


def test_texts_and_numbers_say_the_same() -> None:
    written = Conditions("20Mbps", downlink="50Mbps", rtt="10ms", server_slowdown=2.0)
    assert written.numbers == Conditions(2e7, 5e7, 0.01, 1.0, 2.0).numbers
    assert Conditions("20Mbps").numbers == (2e7, 2e7, 0.0, 1.0, 1.0)
    assert repr(written) == "Conditions(uplink=2e+07, downlink=5e+07, rtt=0.01, device_slowdown=1, server_slowdown=2)"


@pytest.mark.parametrize("name", ["uplink", "downlink", "rtt", "device_slowdown"])
def test_a_text_that_cannot_be_understood_is_named(name: str) -> None:
    with pytest.raises(UnitError, match=f"{name} .*9 km"):
        Conditions(**{"uplink": 1e6, name: "9 km"})  # type: ignore[arg-type]
