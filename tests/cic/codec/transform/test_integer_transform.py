"""Transforms of channels: exact on every machine, stored and read back whole, and as near as their step says."""

from __future__ import annotations

import numpy as np
import pytest

from cic.codec.transform.integer_transform import FORWARD_BITS, Transform, read, written
from cic.codec.transform.rans import tables_for
from cic.errors import CodecError
from cic.precision.transforms.karhunen_loeve import transform_for


def mixed(channels: int, positions: int, seed: int = 0) -> np.ndarray:
    """Correlated channels, the later the fainter, as the activations of a network are."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((channels, channels)) * np.exp(-np.arange(channels) / 4)
    return mix @ rng.laplace(size=(channels, positions)) + rng.standard_normal((channels, 1))


def fitted(channels: int = 12, step: float = 0.1, axis: int = 1) -> Transform:
    return transform_for(mixed(channels, 4000), np.eye(channels), step, axis)


@pytest.mark.parametrize(("shape", "axis"), [((1, 12, 6, 5), 1), ((2, 12, 3), 1), ((1, 30, 12), 2), ((7, 12), 1), ((12,), 0)])
def test_tensors_of_any_layout_come_back_within_the_step(shape: tuple[int, ...], axis: int) -> None:
    transform = fitted(axis=axis)
    positions = transform.positions(shape)
    moved = [size for place, size in enumerate(shape) if place != axis]
    values = np.moveaxis(mixed(12, positions).reshape(12, *moved), 0, axis).astype(np.float32)
    symbols = transform.symbols(values)
    assert symbols is not None and symbols.shape == (transform.components, positions)
    back = transform.values(symbols, shape, "float32")
    assert back.shape == shape and back.dtype == np.float32
    assert np.abs(back - values).max() < 0.1 * np.abs(values).max()
    assert np.abs(transform.values(symbols, shape, "float32") - back).max() == 0


def test_symbols_and_values_are_those_of_whole_number_arithmetic() -> None:
    """Python's integers have no rounding and no order of summation: what float64 computes is the same to the last bit."""
    transform, values = fitted(), mixed(12, 40, seed=3).T.astype(np.float32)
    symbols = transform.symbols(values)
    assert symbols is not None
    for position, vector in enumerate(values.tolist()):
        whole = [round(value * 2.0**transform.value_shift) - int(c) for value, c in zip(vector, transform.centre, strict=True)]
        for component, row in enumerate(transform.forward.tolist()):
            total = sum(a * b for a, b in zip(row, whole, strict=True))
            assert abs(total) < 2**53
            assert abs(int(symbols[component, position]) * 2**transform.forward_shift - total) * 2 <= 2**transform.forward_shift
    back = transform.values(symbols, values.shape, "float64")
    for position, column in enumerate(symbols.T.tolist()):
        for channel, row in enumerate(transform.backward.tolist()):
            total = sum(a * b for a, b in zip(row, column, strict=True))
            expected = total * 2.0**-transform.backward_shift + int(transform.centre[channel]) * 2.0**-transform.value_shift
            assert back[position, channel] == expected


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 3e38])
def test_values_that_no_symbol_stands_for_are_told(wrong: float) -> None:
    values = mixed(12, 5).T.astype(np.float32)
    values[2, 3] = wrong
    assert fitted().symbols(values) is None


def test_a_stored_transform_is_the_same() -> None:
    transform = fitted()
    again = read(written(transform))
    assert again.digest == transform.digest and again.digest != fitted(step=0.2).digest
    values = mixed(12, 30).T.astype(np.float32)
    assert (again.symbols(values) == transform.symbols(values)).all()  # type: ignore[union-attr]


def test_a_damaged_transform_is_refused_or_another_one() -> None:
    content, rng, refused = written(fitted()), np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(content)
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del changed[int(rng.integers(len(changed))) :]
        try:
            assert read(bytes(changed)).digest != read(content).digest
        except CodecError:
            refused += 1
    assert refused > 100


def test_a_tensor_with_other_channels_is_refused() -> None:
    with pytest.raises(CodecError, match="no 12 channels in dimension 1"):
        fitted().positions((1, 13, 4, 4))


def test_numbers_that_would_not_be_exact_are_refused() -> None:
    tables = tables_for(np.zeros((1, 4), np.int64))
    wide = np.full((1, 1), 1 << FORWARD_BITS)
    with pytest.raises(CodecError, match="forward rows of a transform are below"):
        Transform(1, wide, np.ones((1, 1), np.int64), np.zeros(1, np.int64), 0, 0, 0, tables)
