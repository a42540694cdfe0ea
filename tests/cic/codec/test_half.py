"""Half precision holds its bound with torch and without, and makes no finite value infinite."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cic.codec.crossed import crossed, same_bits
from tests.cic.codec.tensors_to_send import (
    activations,
    any_floats,
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(activations(), activations(np.float64), any_floats))
@example(np.array([0x7FF0000000000001, 0x3FF0000000000000] * 9, np.uint64).view(np.float64))
@example(np.array([0x7F800001] * 9, np.uint32).view(np.float32))
def test_half_precision_holds_its_bound(tensor: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        back, wide = crossed("fp16", tensor).astype(np.float64), tensor.astype(np.float64)
    finite = np.isfinite(wide)
    assert np.array_equal(back[~finite], wide[~finite], equal_nan=True)
    assert (np.abs(back[finite] - wide[finite]) <= np.maximum(np.abs(wide[finite]) * 2.0**-11, 2.0**-25)).all()


@pytest.mark.parametrize("name", ["fp16", "fp16+zstd"])
def test_half_precision_never_makes_a_finite_value_infinite(name: str) -> None:
    for largest in (65504.0, 65519.0, 65520.0, 1e30):
        tensor = np.array([0.1, largest], np.float32).repeat(8)
        back = crossed(name, tensor)
        assert np.isfinite(back).all()
        assert same_bits(back, tensor if largest >= 65520 else tensor.astype(np.float16).astype(np.float32))


def test_without_torch_half_precision_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    tensors = [generator.standard_normal(5000) * 10.0**power for power in (-9, -6, -4, 0, 3, 4)]
    with_torch = [crossed("fp16", tensor.astype(np.float32)) for tensor in tensors]
    monkeypatch.setitem(sys.modules, "torch", None)
    for tensor, back in zip(tensors, with_torch, strict=True):
        assert same_bits(crossed("fp16", tensor.astype(np.float32)), back)
