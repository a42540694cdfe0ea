"""Transforms made from samples: bits are spent where the answer feels them, and none where nothing varies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.precision.transforms.karhunen_loeve import Components, components_of, transform_of
from tests.cic.codec.transform.made import mixed, transform_for


def test_what_the_answer_does_not_feel_costs_nothing() -> None:
    columns = mixed(12, 4000)
    felt = np.zeros((12, 12))
    felt[:3, :3] = np.eye(3)
    everything, felt_only = transform_for(columns, np.eye(12), 0.1, (1, 12)), transform_for(columns, felt, 0.1, (1, 12))
    assert felt_only.components < everything.components
    values = columns.T[:50].astype(np.float32)
    symbols = felt_only.symbols(values)
    assert symbols is not None
    error = np.abs(felt_only.values(symbols, values.shape, "float32") - values)
    assert error[:, :3].max() < 0.2 * np.abs(columns[:3]).max()


def test_a_constant_tensor_has_no_component() -> None:
    transform = transform_for(np.ones((4, 100)), np.eye(4), 0.1, (1, 4))
    assert transform.components == 0
    symbols = transform.symbols(np.ones((9, 4), np.float32))
    assert symbols is not None and (transform.values(symbols, (9, 4), "float32") == 1).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8).map(lambda each: sorted(each, reverse=True)),
    st.integers(1, 1000),
    st.floats(1e-4, 10),
)
def test_the_step_is_the_largest_that_loses_no_more(variances: list[float], blocks: int, loss: float) -> None:
    """Against the loss written down: of each component its variance, or what a step loses if that is less."""
    count = len(variances)
    eye = np.eye(count)
    some = Components((1, count), np.zeros(count), eye, eye, np.array(variances), 1.0, blocks)

    def lost(step: float) -> float:
        return blocks / 2 * float(np.minimum(some.variances, step**2 / 12).sum())

    step = some.step(loss)
    if lost(math.inf) <= loss:
        assert lost(step) == pytest.approx(lost(math.inf))
    else:
        assert lost(step) == pytest.approx(loss)
        assert lost(step * 1.01) > loss


def test_the_loss_is_what_the_step_was_chosen_for() -> None:
    """The sum of errors in the measure of the sensitivity, over twice the number of blocks, as was asked for."""
    columns = mixed(12, 4000)
    draw = np.random.default_rng(1).standard_normal((12, 12))
    sensitivity = draw @ draw.T / 100
    for loss in (100.0, 10.0, 1.0):
        components = components_of(columns, sensitivity, (1, 12), 4000)
        transform = transform_of(components, columns, components.step(loss))
        values = columns.T.astype(np.float32)
        symbols = transform.symbols(values)
        assert symbols is not None
        error = transform.values(symbols, values.shape, "float64") - values
        assert 0.5 < np.einsum("ni,ij,nj->", error, sensitivity, error) / 2 / loss < 1.3


def test_whole_numbers_say_what_real_ones_do() -> None:
    """Symbols are those of the real components but for ties, and values read back are near as well."""
    columns = mixed(40, 4000, seed=2)
    components = components_of(columns, np.eye(40), (1, 40), 4000)
    step = components.step(50.0)
    transform = transform_of(components, columns, step)
    symbols = transform.symbols(columns.T)
    real = (components.forward @ (columns - components.centre[:, None]) / step)[: transform.components]
    assert symbols is not None and transform.components < 40
    assert np.abs(symbols - real).max() < 0.55
    back = components.backward[:, : transform.components] @ (symbols * step) + components.centre[:, None]
    assert np.abs(transform.values(symbols, columns.T.shape, "float64") - back.T).max() < 1e-3 * np.abs(back).max()
