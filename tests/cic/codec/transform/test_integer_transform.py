"""Transforms of channels: exact on every machine, stored and read back whole, and as near as their step says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from cic.codec.transform.integer_transform import (
    MOST_LIFT,
    ROW_BITS,
    VALUE_BITS,
    Transform,
    as_columns,
    from_columns,
    read,
    written,
)
from cic.codec.transform.rans import tables_for
from cic.errors import CodecError
from tests.cic.codec.transform.made import fitted, mixed

BLOCKS = [
    ((1, 12, 6, 5), (1, 12, 1, 1)),
    ((2, 12, 3), (1, 12, 1)),
    ((1, 30, 12), (1, 1, 12)),
    ((7, 12), (1, 12)),
    ((12,), (12,)),
    ((1, 3, 6, 4), (1, 3, 2, 2)),
    ((2, 4, 6), (1, 2, 6)),
    ((2, 6, 1, 2, 4), (1, 3, 1, 1, 4)),
]


@pytest.mark.parametrize(("shape", "block"), BLOCKS)
def test_tensors_of_any_layout_come_back_within_the_step(shape: tuple[int, ...], block: tuple[int, ...]) -> None:
    transform = fitted(block=block)
    values = from_columns(mixed(12, 4000)[:, : transform.blocks(shape)], block, shape).astype(np.float32)
    symbols = transform.symbols(values)
    assert symbols is not None and symbols.shape == (transform.components, transform.blocks(shape))
    back = transform.values(symbols, shape, "float32")
    assert back.shape == shape and back.dtype == np.float32
    assert np.abs(back - values).max() < 0.1 * np.abs(values).max()
    assert np.abs(transform.values(symbols, shape, "float32") - back).max() == 0


@pytest.mark.parametrize(("shape", "block"), BLOCKS)
def test_columns_are_the_blocks_in_row_major_order(shape: tuple[int, ...], block: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    columns = as_columns(values, block)
    assert (from_columns(columns, block, shape) == values).all()
    for number, place in enumerate(np.ndindex(*(size // part for size, part in zip(shape, block, strict=True)))):
        part = values[tuple(slice(at * size, (at + 1) * size) for at, size in zip(place, block, strict=True))]
        assert (columns[:, number] == part.reshape(-1)).all()


def test_symbols_and_values_are_those_of_whole_number_arithmetic() -> None:
    """Python's integers have no rounding and no order of summation: what float64 computes is the same to the last bit."""
    transform, values = fitted(), mixed(12, 40, seed=3).T.astype(np.float32)
    symbols = transform.symbols(values)
    assert symbols is not None
    for position, vector in enumerate(values.tolist()):
        whole = [round(value * 2.0**transform.value_shift) - int(c) for value, c in zip(vector, transform.centre, strict=True)]
        for component, row in enumerate(transform.forward.tolist()):
            shift = int(transform.forward_shifts[component])
            total = sum(a * b for a, b in zip(row, whole, strict=True))
            assert abs(total) < 2**53
            assert abs(int(symbols[component, position]) - Fraction(total) / Fraction(2) ** shift) <= Fraction(1, 2)
    back = transform.values(symbols, values.shape, "float64")
    for position, column in enumerate(symbols.T.tolist()):
        for channel, row in enumerate(transform.backward.tolist()):
            total = sum(a * (b << lift) for a, b, lift in zip(row, column, transform.lifts.tolist(), strict=True))
            assert abs(total) < 2**53
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
    assert written(again) == written(transform) != written(fitted(step=0.2))
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
            assert written(read(bytes(changed))) == bytes(changed) != content
        except CodecError:
            refused += 1
    assert refused > 100


def test_a_tensor_with_other_channels_is_refused() -> None:
    with pytest.raises(CodecError, match=r"not made of blocks \(1, 12\)"):
        fitted().blocks((1, 13, 4, 4))


def test_numbers_that_would_not_be_exact_are_refused() -> None:
    tables = tables_for(np.zeros((1, 4), np.int64))
    one, none = np.ones((1, 1), np.int64), np.zeros(1, np.int64)
    for wide in (1 << ROW_BITS, -(1 << ROW_BITS)):
        with pytest.raises(CodecError, match="forward rows of a transform lie between"):
            Transform((1,), wide * one, one, none, none, none, 0, 0, tables)
        with pytest.raises(CodecError, match="backward rows of a transform lie between"):
            Transform((1,), one, wide * one, none, none, none, 0, 0, tables)
    with pytest.raises(CodecError, match="centres of a transform lie between"):
        Transform((1,), one, one, none + (1 << VALUE_BITS), none, none, 0, 0, tables)
    for lift in (-1, MOST_LIFT + 1):
        with pytest.raises(CodecError, match="lifts of a transform lie between"):
            Transform((1,), one, one, none, none, none + lift, 0, 0, tables)
    with pytest.raises(CodecError, match="shifts of a transform are from"):
        Transform((1,), one, one, none, none, none, 999, 0, tables)
    with pytest.raises(CodecError, match="from 1 to 4096 values"):
        Transform((0,), one, one, none, none, none, 0, 0, tables)
    # A few bytes a component would else ask for any number of symbols.
    two, twice = tables_for(np.zeros((2, 4), np.int64)), np.ones((2, 1), np.int64)
    with pytest.raises(CodecError, match="blocks of 1 values has at most as many components; this one has 2"):
        Transform((1,), twice, twice.T, none, np.zeros(2, np.int64), np.zeros(2, np.int64), 0, 0, two)


def test_a_tensor_larger_than_what_is_computed_at_once_comes_back_alike() -> None:
    transform, values = fitted(), mixed(12, 40_000, seed=1).T.astype(np.float32)
    symbols = transform.symbols(values)
    assert symbols is not None
    parts = [transform.values(symbols[:, at : at + 1000], (1000, 12), "float32") for at in range(0, 40_000, 1000)]
    assert (transform.values(symbols, values.shape, "float32") == np.concatenate(parts)).all()
