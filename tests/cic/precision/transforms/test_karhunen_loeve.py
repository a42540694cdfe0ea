"""Transforms made from samples: bits are spent where the answer feels them, and none where nothing varies."""

from __future__ import annotations

import numpy as np

from cic.precision.transforms.karhunen_loeve import transform_for
from tests.cic.codec.transform.test_integer_transform import mixed


def test_what_the_answer_does_not_feel_costs_nothing() -> None:
    columns = mixed(12, 4000)
    felt = np.zeros((12, 12))
    felt[:3, :3] = np.eye(3)
    everything, felt_only = transform_for(columns, np.eye(12), 0.1, 1), transform_for(columns, felt, 0.1, 1)
    assert felt_only.components < everything.components
    values = columns.T[:50].astype(np.float32)
    symbols = felt_only.symbols(values)
    assert symbols is not None
    error = np.abs(felt_only.values(symbols, values.shape, "float32") - values)
    assert error[:, :3].max() < 0.2 * np.abs(columns[:3]).max()


def test_a_constant_tensor_has_no_component() -> None:
    transform = transform_for(np.ones((4, 100)), np.eye(4), 0.1, 1)
    assert transform.components == 0
    symbols = transform.symbols(np.ones((9, 4), np.float32))
    assert symbols is not None and (transform.values(symbols, (9, 4), "float32") == 1).all()
