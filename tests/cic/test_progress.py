"""Progress is one thing everywhere, and `progress=print` is enough to see it."""

from __future__ import annotations

from typing import Any

import pytest

import cic
from cic.progress import Progress, counted, teller


def test_a_line_for_people() -> None:
    assert str(Progress("tracing")) == "tracing"
    assert str(Progress("measuring ops", 3, 40)) == "measuring ops: 3 of 40"


def test_steps_are_counted() -> None:
    told: list[Progress] = []
    step = counted(told.append, 2)
    step("one")
    step("two")
    assert told == [Progress("one", 1, 2), Progress("two", 2, 2)]


@pytest.mark.parametrize("odd", [True, "print", 3])
def test_what_cannot_be_told_is_refused(odd: Any) -> None:
    teller(None)(Progress("nobody listens"))
    with pytest.raises(cic.ArgumentError, match=r"give a function that takes a cic\.Progress, such as print"):
        teller(odd)
