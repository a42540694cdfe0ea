"""Budgets for training as people write them."""

from __future__ import annotations

import pytest

from cic.errors import CompileError
from cic.precision.training_budget import budget_seconds


@pytest.mark.parametrize(("text", "expected_s"), [("90s", 90), ("5min", 300), (" 1.5 min ", 90), ("2h", 7200)])
def test_a_time_with_a_unit_is_understood(text: str, expected_s: float) -> None:
    assert budget_seconds(text) == expected_s


@pytest.mark.parametrize("text", ["", "5", "5m", "5minutes", "-5min", "1e3s", "nan s", "1h30min", "٥min", "0s", "999h"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CompileError, match="train is"):
        budget_seconds(text)
