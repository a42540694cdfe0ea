"""rANS: what is written comes back, in as many bits as the tables say, with and without numba, and nothing else is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.transform import rans
from cic.codec.transform.rans import BITS, HIGHEST, LOWEST, Tables, decode, encode, information_bits, tables_for
from cic.errors import CodecError

FIRST_STATE_BITS = 32


def drawn(seed: int, rows: int, count: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.rint(rng.laplace(0, spread * 0.7 ** np.arange(rows)[:, None], (rows, count))).astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(0, 300), st.floats(0.01, 300), st.integers(0, 20))
def test_what_is_written_comes_back_in_as_many_bits_as_the_tables_say(
    seed: int, rows: int, count: int, spread: float, strangers: int
) -> None:
    tables = tables_for(drawn(seed, rows, 200, spread))
    symbols = drawn(seed + 1, rows, count, spread)
    if symbols.size:
        places = np.random.default_rng(seed).integers(0, symbols.size, strangers)
        symbols.flat[places] = np.random.default_rng(seed + 2).integers(LOWEST, HIGHEST + 1, strangers)
    payload = encode(symbols, tables)
    assert (decode(payload, count, tables) == symbols).all()
    bound = information_bits(symbols, tables)
    assert bound <= 8 * len(payload) <= 1.001 * bound + FIRST_STATE_BITS + 16


def test_payloads_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, symbols = tables_for(drawn(0, 5, 200, 9.0)), drawn(1, 5, 300, 9.0)
    symbols[2, 7], symbols[4, 299] = HIGHEST, LOWEST
    payload = encode(symbols, tables)
    monkeypatch.setattr(rans, "_compiled", lambda kernel: None)
    assert encode(symbols, tables) == payload
    assert (decode(payload, 300, tables) == symbols).all()


def test_symbols_beyond_16_bits_become_the_nearest() -> None:
    tables = tables_for(drawn(0, 1, 50, 2.0))
    assert decode(encode(np.array([[10**9, -(10**9)]]), tables), 2, tables).tolist() == [[HIGHEST, LOWEST]]


def test_no_changed_payload_is_more_than_other_symbols() -> None:
    """Either it is refused, or it is what an encoder would have written for other symbols."""
    tables, symbols = tables_for(drawn(0, 4, 300, 5.0)), drawn(1, 4, 200, 5.0)
    payload, rng, refused = encode(symbols, tables), np.random.default_rng(0), 0
    for _ in range(2000):
        changed = bytearray(payload)
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del changed[int(rng.integers(len(changed))) :]
        try:
            found = decode(bytes(changed), 200, tables)
        except CodecError as error:
            refused += 1
            assert "the tensor" in str(error)
        else:
            assert encode(found, tables) == bytes(changed)
    assert refused > 1500


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0\0", b"\1\0\0", b"\1\0\0\0" * 4000])
def test_bytes_that_no_encoder_writes_are_refused(payload: bytes) -> None:
    with pytest.raises(CodecError):
        decode(payload, 10, tables_for(drawn(0, 2, 50, 2.0)))


@pytest.mark.parametrize(
    ("low", "lengths", "frequencies"),
    [
        ([0], [2], [1, 2]),
        ([0], [2], [1 << BITS, 0]),
        ([0], [1], [1 << BITS]),
        ([0, 0], [2], [1, (1 << BITS) - 1]),
        ([0], [3], [1, (1 << BITS) - 1]),
        ([HIGHEST], [3], [1, 1, (1 << BITS) - 2]),
        ([LOWEST - 1], [2], [1, (1 << BITS) - 1]),
    ],
)
def test_tables_that_are_none_are_refused(low: list[int], lengths: list[int], frequencies: list[int]) -> None:
    with pytest.raises(CodecError, match="entropy tables"):
        Tables(np.array(low), np.array(lengths), np.array(frequencies))
