"""Symbols of a tensor beside those of an earlier one: each component as differences, as it stands, or not at all.

Of each component the sender says in which way it comes: unchanged everywhere; by its differences, under one of a few tables;
or by its symbols, under its own table. Differences are nearly geometric on both sides of zero, so their tables are a family
with one parameter, computed here in whole numbers: none is made from calibration sequences, and nothing more is stored.
Neighbouring components change alike, so ways are written as steps from one component to the next.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cic.codec.transform.rans import BITS, ESCAPED_BITS, Integers, Tables, decode, encode
from cic.errors import CodecError

# Of 256: by how much a difference is rarer than the next smaller one.
RATIOS = (2, 7, 20, 48, 90, 140, 200)
# Ways: unchanged, differences under one of the ratios, symbols as they stand.
UNCHANGED, STANDING = 0, len(RATIOS) + 1
WAYS = STANDING + 1
# Larger differences are escapes.
_FAR = 32
# Of steps between ways.
_STEP_RATIO = 90
_LENGTH = struct.Struct("<H")
# Costs are in this share of a bit.
_PARTS = 256
_NEVER = 1 << 40


@dataclass(frozen=True, eq=False)
class Differences:
    """How components of these tables are coded beside earlier ones."""

    own: Tables

    def encode(self, symbols: Integers, before: Integers) -> tuple[bytes, int]:
        """Symbols as bytes that `decode` reads beside the same earlier ones, and about how many bits these are.

        Both are int64[components, n], of 16 bits.
        """
        changes = wrapped(symbols - before)
        ways, parts = self._chosen(self._costs(symbols, changes))
        steps = np.diff(ways, prepend=UNCHANGED)
        said = encode(steps[None], self._tables, self._step_row)
        coded, which = self._coded(ways)
        body = encode(np.where(ways[coded, None] == STANDING, symbols[coded], changes[coded]), self._tables, which)
        return _LENGTH.pack(len(said)) + said + body, parts // _PARTS

    def decode(self, payload: bytes, before: Integers, name: str) -> Integers:
        """int64[components, n], of 16 bits. Raises CodecError naming the tensor for bytes that `encode` did not write."""
        if len(payload) < _LENGTH.size:
            raise CodecError(f"{name}: a frame of differences ends after {len(payload)} bytes; it was damaged on its way")
        (length,) = _LENGTH.unpack_from(payload)
        said, body = payload[_LENGTH.size : _LENGTH.size + length], payload[_LENGTH.size + length :]
        ways = np.cumsum(decode(said, self.own.rows, self._tables, name, self._step_row)[0].astype(np.int64))
        if len(ways) and not 0 <= ways.min() <= ways.max() < WAYS:
            raise CodecError(f"{name}: a component comes in a way from 0 to {WAYS - 1}, a frame says another")
        coded, which = self._coded(ways)
        found = decode(body, before.shape[1], self._tables, name, which).astype(np.int64)
        symbols = before.copy()
        symbols[coded] = np.where(ways[coded, None] == STANDING, found, wrapped(before[coded] + found))
        return symbols

    def standing_bits(self, symbols: Integers) -> int:
        """About how many bits the symbols are under their own tables."""
        return int(self._standing(symbols).sum()) // _PARTS

    def _coded(self, ways: Integers) -> tuple[Integers, Integers]:
        """The components that are not unchanged, and their tables."""
        coded = np.flatnonzero(ways != UNCHANGED)
        return coded, np.where(ways[coded] == STANDING, coded, self.own.rows + ways[coded] - 1)

    def _chosen(self, costs: Integers) -> tuple[Integers, int]:
        """A cheap way for each component, given that of the one before; and what all ways and symbols cost."""
        way, total, ways, steps = UNCHANGED, 0, [], _STEP_COSTS.tolist()
        for row in costs.tolist():
            least, way = min((cost + steps[each - way + WAYS], each) for each, cost in enumerate(row))
            total += least
            ways.append(way)
        return np.array(ways, np.int64), total

    def _costs(self, symbols: Integers, changes: Integers) -> Integers:
        """int64[components, ways]."""
        rows = len(symbols)
        sizes = np.minimum(np.abs(changes), _FAR + 1) + (_FAR + 2) * np.arange(rows)[:, None]
        counts = np.bincount(sizes.reshape(-1), minlength=rows * (_FAR + 2)).reshape(rows, _FAR + 2)
        unchanged = np.where(changes.any(axis=1), _NEVER, 0)
        return np.column_stack([unchanged, counts @ _CHANGE_COSTS, self._standing(symbols)])

    def _standing(self, symbols: Integers) -> Integers:
        places, escapes = symbols - self.own.low[:, None], self.own.lengths[:, None] - 1
        escaped = (places < 0) | (places >= escapes)
        found = self._own_costs[self.own.offsets[:, None] + np.where(escaped, escapes, places)]
        costs: Integers = found.sum(axis=1) + ESCAPED_BITS * _PARTS * escaped.sum(axis=1)
        return costs

    @cached_property
    def _own_costs(self) -> Integers:
        return cost_of(self.own.frequencies)

    @cached_property
    def _tables(self) -> Tables:
        """The components' own, then those of differences, then that of steps between ways."""
        more = len(RATIOS) + 1
        return Tables(
            np.append(self.own.low, np.full(more, -_FAR)),
            np.append(self.own.lengths, np.full(more, 2 * _FAR + 2)),
            np.concatenate([self.own.frequencies, *map(_geometric, (*RATIOS, _STEP_RATIO))]),
        )

    @cached_property
    def _step_row(self) -> Integers:
        return np.array([self._tables.rows - 1])


def wrapped(numbers: Integers) -> Integers:
    """Whole numbers, but for multiples of 2^16, as those of 16 bits: differences of such are no larger than they are."""
    return ((numbers + 0x8000) & 0xFFFF) - 0x8000


def cost_of(frequencies: Integers) -> Integers:
    """What symbols of that frequency take, in 1/256 bit.

    The numbers are logarithms, but rounded ones: none is nearer to a half than any logarithm is off, so that every machine
    chooses the same ways.
    """
    costs: Integers = BITS * _PARTS - np.rint(_PARTS * np.log2(frequencies)).astype(np.int64)
    return costs


def _geometric(ratio: int) -> Integers:
    """int64[2 FAR + 2]: frequencies of -FAR … FAR, then of the escape, each `ratio` of 256 of the next one to zero."""
    weights = [1 << 20]
    for _ in range(_FAR):
        weights.append(weights[-1] * ratio >> 8)
    both = np.array([*weights[:0:-1], *weights, 0], np.int64)
    whole: Integers = 1 + both * ((1 << BITS) - len(both)) // both.sum()
    whole[_FAR] += (1 << BITS) - whole.sum()
    return whole


def _escaping(frequencies: Integers) -> Integers:
    """What magnitudes 0 … FAR take, and those beyond."""
    costs = cost_of(frequencies)[_FAR:]
    costs[-1] += ESCAPED_BITS * _PARTS
    return costs


_CHANGE_COSTS = np.stack([_escaping(_geometric(ratio)) for ratio in RATIOS], axis=1)
# By the step, from -WAYS on.
_STEP_COSTS = cost_of(_geometric(_STEP_RATIO))[_FAR - WAYS : _FAR + WAYS + 1]
