"""The one measure of how far two tensors differ."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codegen.verification.agreement import TOLERANCES, relative_error


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=6), st.floats(-4, 4), st.floats(1e-6, 1e6))
def test_the_error_is_relative(values: list[float], difference: float, factor: float):
    whole = torch.tensor(values, dtype=torch.float64)
    whole[0] = 10.0
    other = whole.clone()
    other[-1] += difference
    error = relative_error(other, whole)
    assert error == pytest.approx(abs(difference) / 10.0, rel=1e-6, abs=1e-9)
    assert relative_error(other * factor, whole * factor) == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_what_cannot_be_compared_differs_without_end():
    one = torch.tensor([1.0, math.nan, -math.inf])
    assert relative_error(one.clone(), one) == 0.0
    assert relative_error(torch.tensor([1.0, 2.0, -math.inf]), one) == math.inf
    assert relative_error(torch.tensor([1.0, math.nan, math.inf]), one) == math.inf
    assert relative_error(one.double(), one) == math.inf
    assert relative_error(one[None], one) == math.inf
    assert relative_error(torch.ones(2, dtype=torch.bool), torch.tensor([True, False])) == 1.0
    assert relative_error(torch.ones(0), torch.ones(0)) == 0.0
    assert relative_error(torch.full((2,), 1e-30), torch.zeros(2)) < 1e-4


def test_halves_may_differ_by_no_less_than_what_is_traced():
    """They differ from the whole by what tracing does and by what fusing kernels does besides."""
    assert all(0 < allowed.traced <= allowed.emitted for allowed in TOLERANCES.values())
