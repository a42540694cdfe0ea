"""Entropy coding with static tables: rANS, one table for each row of symbols. Needs numpy, and is slow without numba.

Asymmetric numeral systems (Duda, arXiv:1311.2540) in the range variant: a state of 32 bits, renormalised by 16 bits, and
probabilities in whole 1 / 2^`BITS`. A message of n symbols takes its information under the tables plus 32 bits, less than
a thousandth of it for rounding. All arithmetic is on integers, so every machine writes the same bytes.

A symbol that its table does not hold is written as the table's escape, followed by 16 bits. The decoder is told how many
symbols to expect by somebody it trusts; a payload that ends too early, holds more, or does not lead back to the first state
of the encoder, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cic.errors import CodecError

BITS = 14
ESCAPED_BITS = 16
LOWEST, HIGHEST = -(2 ** (ESCAPED_BITS - 1)), 2 ** (ESCAPED_BITS - 1) - 1
# A table holds at most this many symbols besides its escape.
LONGEST = 2**12
# Constants of the compiled functions, too, which take them as they are when they are compiled.
_FIRST_STATE = 1 << 16

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tables:
    """One table a row: row r has the symbols low[r], low[r] + 1, …, then its escape.

    low: int64[rows]. lengths: int64[rows], how many frequencies a row has, its escape's among them.
    frequencies: int64[sum of lengths], positive, those of each row with the sum 2^BITS.

    Raises:
        CodecError: they are not as said.
    """

    low: Integers
    lengths: Integers
    frequencies: Integers

    def __post_init__(self) -> None:
        if self.low.ndim != 1 or self.low.shape != self.lengths.shape or self.frequencies.ndim != 1:
            raise CodecError("entropy tables: low and lengths have one number a row, frequencies are one row of numbers")
        if len(self.low) and not 2 <= self.lengths.min() <= self.lengths.max() <= LONGEST + 1:
            raise CodecError(f"entropy tables: a table has from 1 to {LONGEST} symbols and an escape")
        if int(self.lengths.sum()) != len(self.frequencies):
            raise CodecError(f"entropy tables: {int(self.lengths.sum())} frequencies belong there, {len(self.frequencies)} are")
        if len(self.low) and not (self.low.min() >= LOWEST and (self.low + self.lengths).max() - 2 <= HIGHEST):
            raise CodecError(f"entropy tables: symbols are whole numbers from {LOWEST} to {HIGHEST}")
        sums = np.add.reduceat(self.frequencies, self.offsets) if len(self.low) else self.frequencies
        if len(self.frequencies) and (self.frequencies.min() < 1 or (sums != 1 << BITS).any()):
            raise CodecError(f"entropy tables: frequencies are positive, and those of a table have the sum {1 << BITS}")

    @property
    def rows(self) -> int:
        return len(self.low)

    @cached_property
    def offsets(self) -> Integers:
        """Where each row begins among the frequencies."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def starts(self) -> Integers:
        """The sum of the frequencies before each one in its row."""
        before = np.cumsum(self.frequencies) - self.frequencies
        return before - np.repeat(before[self.offsets], self.lengths) if self.rows else before

    @cached_property
    def modes(self) -> Integers:
        """int64[rows]: which frequency of its row is the largest."""
        parts = np.split(self.frequencies, self.offsets[1:]) if self.rows else []
        return np.array([int(part.argmax()) for part in parts], np.int64)


def tables_for(samples: npt.NDArray[np.int64]) -> Tables:
    """Tables for rows of symbols like these: int64[rows, n] with n > 0.

    Each symbol between the lowest and the highest of its row, widened by a quarter, counts half an occurrence more than seen
    (Krichevsky & Trofimov, IEEE Trans. Inf. Theory 27, 1981), so that neighbours never seen stay cheap.
    """
    low, lengths, frequencies = [], [], []
    for row in samples:
        first, last = _widened(int(row.min()), int(row.max()))
        counts = np.bincount(np.clip(row, first, last) - first, minlength=last - first + 1).astype(np.float64) + 0.5
        low.append(first)
        lengths.append(len(counts) + 1)
        frequencies.append(_whole(np.append(counts, 0.5)))
    flat = np.concatenate(frequencies) if frequencies else np.zeros(0, np.int64)
    return Tables(np.array(low, np.int64), np.array(lengths, np.int64), flat)


def _widened(first: int, last: int) -> tuple[int, int]:
    """A range of symbols with room for values that calibration has not seen, within what a table can hold."""
    room = 1 + (last - first) // 4
    first, last = max(first - room, LOWEST), min(last + room, HIGHEST)
    if last - first < LONGEST:
        return first, last
    middle = (first + last) // 2
    return middle - LONGEST // 2, middle + LONGEST // 2 - 1


def _whole(counts: npt.NDArray[np.float64]) -> Integers:
    """Positive integers with the sum 2^BITS in nearly the ratios of the counts: what is left over goes to the largest."""
    spare = (1 << BITS) - len(counts)
    whole: Integers = 1 + np.floor(counts / counts.sum() * spare).astype(np.int64)
    whole[int(np.argmax(counts))] += (1 << BITS) - int(whole.sum())
    return whole


def encode(symbols: npt.NDArray[np.int64], tables: Tables, which: Integers | None = None) -> bytes:
    """Rows of symbols, int64[rows, n], as bytes. Symbols that do not fit 16 bits become the nearest that do.

    which: int64[rows], the table of each row; by default row r has table r, and there are as many.
    """
    clipped = np.clip(symbols, LOWEST, HIGHEST).astype(np.int64, copy=False)
    words = np.empty(2 * clipped.size + 2, np.int32)
    first = _run(_encode, clipped.reshape(-1), clipped.shape[1], _numbers(tables, which), words)
    return words[first:].astype("<u2").tobytes()


def decode(
    payload: bytes | memoryview, count: int, tables: Tables, name: str = "the tensor", which: Integers | None = None
) -> npt.NDArray[Any]:
    """int16[rows, count]: what `encode` was given. Raises CodecError naming the tensor for bytes it did not write."""
    rows = tables.rows if which is None else len(which)
    if len(payload) % 2 or len(payload) < 4 or len(payload) > 2 * (2 * rows * count + 2):
        raise CodecError(f"{name}: the payload has {len(payload)} bytes, which no {rows} x {count} symbols take")
    words = np.frombuffer(payload, "<u2").astype(np.int32)
    symbols = np.empty(rows * count, np.int16)
    modes = tables.modes if which is None else tables.modes[which]
    if _run(_decode, symbols, count, (*_numbers(tables, which), modes), words) != len(words):
        raise CodecError(f"{name}: the payload does not hold {rows} x {count} symbols of its tables")
    return symbols.reshape(rows, count)


def information_bits(symbols: npt.NDArray[np.int64], tables: Tables) -> float:
    """What symbols take under the tables, which no coder that uses them can undercut."""
    places = symbols - tables.low[:, None]
    escapes = tables.lengths[:, None] - 1
    escaped = (places < 0) | (places >= escapes)
    found = tables.frequencies[tables.offsets[:, None] + np.where(escaped, escapes, places)]
    return float((BITS - np.log2(found)).sum() + ESCAPED_BITS * escaped.sum())


def _numbers(tables: Tables, which: Integers | None) -> tuple[Integers, ...]:
    rows = tables.low, tables.lengths, tables.offsets
    if which is not None:
        rows = tables.low[which], tables.lengths[which], tables.offsets[which]
    return *rows, tables.frequencies, tables.starts


def _run(kernel: Callable[..., int], symbols: Any, count: int, numbers: Sequence[Any], words: Any) -> int:
    """Run a kernel, compiled where numba is there."""
    compiled = _compiled(kernel)
    if compiled is not None:
        return int(compiled(symbols, count, *numbers, words))
    # Lists of whole numbers: ten times faster than arrays, one number at a time.
    kept, lists = symbols.tolist(), words.tolist()
    answer = kernel(kept, count, *(each.tolist() for each in numbers), lists)
    if kernel is _encode:
        words[:] = lists
    else:
        symbols[:] = kept
    return answer


@lru_cache
def _compiled(kernel: Callable[..., int]) -> Callable[..., int] | None:
    try:
        from numba import njit
    except ImportError:
        return None
    compiled: Callable[..., int] = njit(cache=True, nogil=True)(kernel)
    return compiled


def _encode(
    symbols: Sequence[int],
    count: int,
    low: Sequence[int],
    lengths: Sequence[int],
    offsets: Sequence[int],
    frequencies: Sequence[int],
    starts: Sequence[int],
    words: Any,
) -> int:
    """Fill `words` from its end; return where they begin. Backwards, since the decoder takes last what came first."""
    state, place = _FIRST_STATE, len(words)
    for index in range(len(symbols) - 1, -1, -1):
        row = index // count
        at, escape = symbols[index] - low[row], lengths[row] - 1
        if at < 0 or at >= escape:
            place -= 1
            words[place] = state & 0xFFFF
            state = ((state >> 16) << 16) + (symbols[index] + 0x8000)
            at = escape
        frequency = frequencies[offsets[row] + at]
        if state >= frequency << (32 - BITS):
            place -= 1
            words[place] = state & 0xFFFF
            state >>= 16
        state = ((state // frequency) << BITS) + state % frequency + starts[offsets[row] + at]
    words[place - 1] = state & 0xFFFF
    words[place - 2] = state >> 16
    return place - 2


def _decode(
    symbols: Any,
    count: int,
    low: Sequence[int],
    lengths: Sequence[int],
    offsets: Sequence[int],
    frequencies: Sequence[int],
    starts: Sequence[int],
    modes: Sequence[int],
    words: Sequence[int],
) -> int:
    """Fill `symbols`; return how many words were used, or -1 for words that no encoder wrote."""
    state, place = (words[0] << 16) + words[1], 2
    if state < _FIRST_STATE:
        return -1
    for index in range(len(symbols)):
        row = index // count
        slot, first, at = state & ((1 << BITS) - 1), offsets[row], modes[row]
        # A table of slots would be faster only while those of all rows fit the nearest cache. Most symbols are the likeliest of
        # their row; others are found by halving: the last frequency that starts at the slot or before it.
        if not 0 <= slot - starts[first + at] < frequencies[first + at]:
            at, beyond = 0, lengths[row]
            while beyond - at > 1:
                middle = (at + beyond) >> 1
                if starts[first + middle] <= slot:
                    at = middle
                else:
                    beyond = middle
        state = frequencies[first + at] * (state >> BITS) + slot - starts[first + at]
        if state < _FIRST_STATE:
            if place >= len(words):
                return -1
            state = (state << 16) + words[place]
            place += 1
        if at == lengths[row] - 1:
            if place >= len(words):
                return -1
            symbols[index] = (state & 0xFFFF) - 0x8000
            state = ((state >> 16) << 16) + words[place]
            place += 1
        else:
            symbols[index] = low[row] + at
    return place if state == _FIRST_STATE else -1
