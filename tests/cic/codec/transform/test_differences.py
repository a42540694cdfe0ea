"""Symbols beside earlier ones: they come back from bytes alone, and every machine chooses the same tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.transform.differences import _FAR, _PARTS, RATIOS, WAYS, Differences, _geometric, cost_of, wrapped
from cic.codec.transform.rans import BITS, HIGHEST, LOWEST, Tables, encode, tables_for
from cic.errors import CodecError

ROWS, COUNT = 9, 30


def drawn(seed: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.rint(rng.laplace(0, spread * 0.7 ** np.arange(ROWS)[:, None], (ROWS, COUNT))).astype(np.int64)


DIFFERENCES = Differences(tables_for(drawn(0, 9)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 20), st.floats(0, 20), st.booleans())
def test_symbols_come_back_beside_any_earlier_ones(seed: int, spread: float, change: float, far: bool) -> None:
    before = drawn(seed, spread)
    symbols = before + drawn(seed + 1, change)
    if far:
        symbols[2, 3], before[2, 3], symbols[8, 29] = HIGHEST, LOWEST, LOWEST
    payload, bits = DIFFERENCES.encode(symbols, before)
    assert (DIFFERENCES.decode(payload, before, "conv1") == symbols).all()
    assert abs(8 * len(payload) - bits) < 0.002 * bits + 16 + 2 * 48
    assert bits <= DIFFERENCES.standing_bits(symbols) + 12 + ROWS


def test_what_stays_takes_hardly_anything() -> None:
    symbols = drawn(0, 9)
    assert len(DIFFERENCES.encode(symbols, symbols)[0]) <= 12


def test_no_changed_payload_is_more_than_other_symbols() -> None:
    before = drawn(0, 9)
    payload, rng, refused = DIFFERENCES.encode(before + drawn(1, 2), before)[0], np.random.default_rng(0), 0
    for _ in range(1000):
        changed = bytearray(payload)
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del changed[int(rng.integers(len(changed))) :]
        try:
            found = DIFFERENCES.decode(bytes(changed), before, "conv1")
        except CodecError as error:
            refused += 1
            assert "conv1" in str(error)
        else:
            assert found.shape == before.shape and LOWEST <= found.min() <= found.max() <= HIGHEST
    assert refused > 700


def test_differences_of_16_bits_wrap() -> None:
    ends = np.array([LOWEST, -1, 0, 1, HIGHEST])
    assert (wrapped(ends[:, None] + wrapped(ends - ends[:, None])) == ends).all()
    assert LOWEST <= wrapped(ends - ends[:, None]).min() <= wrapped(ends - ends[:, None]).max() <= HIGHEST


def test_tables_of_differences_are_tables_that_fall_on_both_sides() -> None:
    for ratio in range(256):
        found = _geometric(ratio)
        Tables(np.array([-_FAR]), np.array([len(found)]), found)
        assert (found[: _FAR + 1] == found[_FAR : 2 * _FAR + 1][::-1]).all()
        assert (np.diff(found[_FAR:]) <= 0).all()
    assert list(RATIOS) == sorted(RATIOS) and WAYS < _FAR


def test_costs_are_rounded_alike_whatever_the_last_bits_of_a_logarithm() -> None:
    frequencies = np.arange(1, 2**BITS + 1)
    exact = _PARTS * np.log2(frequencies)
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6
    assert np.abs(cost_of(frequencies) / _PARTS - (BITS - np.log2(frequencies))).max() <= 0.5 / _PARTS


def test_a_way_that_there_is_not_is_refused() -> None:
    before = drawn(0, 9)
    said = encode(np.array([[WAYS, *[0] * (ROWS - 1)]]), DIFFERENCES._tables, DIFFERENCES._step_row)
    with pytest.raises(CodecError, match="conv1: a component comes in a way from 0 to 8"):
        DIFFERENCES.decode(len(said).to_bytes(2, "little") + said, before, "conv1")
    with pytest.raises(CodecError, match="conv1: a frame of differences ends after 1 bytes"):
        DIFFERENCES.decode(b"\0", before, "conv1")
