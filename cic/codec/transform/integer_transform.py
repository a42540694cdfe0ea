"""A transform of blocks of one tensor: few components, one quantiser step for all, a static table of symbols for each.

A tensor is cut into blocks of one shape, such as all channels at two by two places, and the values of a block are combined to
components. The transform is linear and made for its tensor from calibration inputs (`cic.precision.transforms` says how, and
why one step for all components is right). Device and server hold the same numbers, so a payload is nothing but entropy-coded
symbols.

All arithmetic is on whole numbers that float64 holds exactly: values times a power of two, forward and backward rows times
others, and sums below 2^53. A matrix product of such numbers has no rounding, in whatever order a library adds them up, so
every machine and every version of numpy makes the same symbols, and the same values again.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cic.codec.transform.rans import HIGHEST, LOWEST, Integers, Tables
from cic.errors import CodecError

# Numbers are below 2 to these; with blocks of 2^12 values, forward sums stay below 2^(22 + 1 + 15 + 12), backward ones, whose
# symbols have 15 bits and are lifted by at most 10, below 2^(15 + 15 + 10 + 12): float64 holds all of them.
VALUE_BITS, ROW_BITS, MOST_LIFT = 22, 15, 10
MOST_VALUES = 1 << 12
_LARGEST_SHIFT = 120
_MOST_DIMENSIONS = 8
# So many blocks of a tensor are computed at once: in float64 all of a picture would take several times its size.
_TOGETHER = 1 << 14
# What a stored transform begins with: a mark; the dimensions of a block; its shape; the shifts of values and backward rows;
# components; frequencies.
_HEADER = struct.Struct("<16sB8H2bHI")
_MARK = b"CIC transform 1\n"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Transform:
    """Of blocks of D values into R components; y = (forward (x 2^value_shift - centre)) / 2^forward_shifts, rounded.

    block: the shape of a block, which divides that of the tensor.
    forward: int64[R, D]. backward: int64[D, R]. centre: int64[D].
    forward_shifts: int64[R]. lifts: int64[R], from 0 to `MOST_LIFT`.
    Read back, x = backward (y 2^lifts) / 2^backward_shift + centre / 2^value_shift.

    Raises:
        CodecError: shapes that do not fit, or numbers that would not be exact.
    """

    block: tuple[int, ...]
    forward: Integers
    backward: Integers
    centre: Integers
    forward_shifts: Integers
    lifts: Integers
    value_shift: int
    backward_shift: int
    tables: Tables

    def __post_init__(self) -> None:
        rows, values = self.forward.shape if self.forward.ndim == 2 else (-1, -1)
        if not 0 < len(self.block) <= _MOST_DIMENSIONS or min(self.block) < 1 or not math.prod(self.block) <= MOST_VALUES:
            raise CodecError(
                f"the block of a transform has from 1 to {MOST_VALUES} values; this one has the shape {self.block}"
            )
        if math.prod(self.block) != values or self.backward.shape != (values, rows) or self.centre.shape != (values,):
            raise CodecError(
                f"a transform of blocks {self.block} has rows as wide; forward is {self.forward.shape}, backward"
                f" {self.backward.shape}, centre {self.centre.shape}"
            )
        # More would not be independent, their sums not exact, and a small file could ask for any number of symbols.
        if rows > values:
            raise CodecError(f"a transform of blocks of {values} values has at most as many components; this one has {rows}")
        if {self.forward_shifts.shape, self.lifts.shape, (self.tables.rows,)} != {(rows,)}:
            raise CodecError(f"a transform has two shifts and a table for each of its {rows} components")
        shifts = (*self.forward_shifts.tolist(), self.value_shift, self.backward_shift)
        if not all(abs(shift) <= _LARGEST_SHIFT for shift in shifts):
            raise CodecError(f"the shifts of a transform are from -{_LARGEST_SHIFT} to {_LARGEST_SHIFT}")
        for what, numbers, lowest, highest in (
            ("forward rows", self.forward, -(1 << ROW_BITS), 1 << ROW_BITS),
            ("backward rows", self.backward, -(1 << ROW_BITS), 1 << ROW_BITS),
            ("centres", self.centre, -(1 << VALUE_BITS), 1 << VALUE_BITS),
            ("lifts", self.lifts, -1, MOST_LIFT + 1),
        ):
            if numbers.size and not lowest < int(numbers.min()) <= int(numbers.max()) < highest:
                raise CodecError(f"the {what} of a transform lie between {lowest} and {highest}")

    @property
    def components(self) -> int:
        return int(self.forward.shape[0])

    def blocks(self, shape: Sequence[int]) -> int:
        """How many blocks a tensor of this shape has. Raises CodecError if it is none of whole blocks."""
        if len(shape) != len(self.block) or any(size % part for size, part in zip(shape, self.block, strict=True)):
            raise CodecError(f"a tensor of shape {tuple(shape)} is not made of blocks {self.block}")
        return math.prod(shape) // math.prod(self.block)

    def symbols(self, values: npt.NDArray[Any]) -> Integers | None:
        """int64[R, blocks], of 16 bits, those beyond the nearest; None if a value is not finite, or far larger than calibration
        had it."""
        products = self.products(values)
        return None if products is None else np.rint(products, out=products).astype(np.int64)

    def products(self, values: npt.NDArray[Any]) -> Reals | None:
        """float64[R, blocks]: what `symbols` rounds."""
        columns = as_columns(values, self.block).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(np.ldexp(columns, self.value_shift)) - self._centre
            if whole.size and not np.abs(whole).max() < 1 << (VALUE_BITS + 1):
                return None
        products = self._forward @ whole
        products *= self._scales
        # A cast of what no int64 holds would differ between processors.
        return np.clip(products, LOWEST, HIGHEST, out=products)

    def values(self, symbols: Integers, shape: Sequence[int], dtype: str) -> npt.NDArray[Any]:
        """The tensor that symbols stand for, of that shape and type."""
        columns, centre = np.empty((math.prod(self.block), symbols.shape[1]), dtype), np.ldexp(self._centre, -self.value_shift)
        with np.errstate(over="ignore"):
            for first in range(0, symbols.shape[1], _TOGETHER):
                part = slice(first, first + _TOGETHER)
                products = self._backward @ symbols[:, part].astype(np.float64)
                columns[:, part] = np.ldexp(products, -self.backward_shift) + centre
        return from_columns(columns, self.block, shape)

    @cached_property
    def _forward(self) -> Reals:
        return self.forward.astype(np.float64)

    @cached_property
    def _scales(self) -> Reals:
        return np.ldexp(np.ones((self.components, 1)), -self.forward_shifts[:, None])

    @cached_property
    def _backward(self) -> Reals:
        lifted: Reals = np.ldexp(self.backward.astype(np.float64), self.lifts)
        return lifted

    @cached_property
    def _centre(self) -> Reals:
        return self.centre.astype(np.float64)[:, None]


def as_columns(values: npt.NDArray[Any], block: Sequence[int]) -> npt.NDArray[Any]:
    """The blocks of a tensor as columns, [values of a block, blocks], both in row-major order."""
    parts = [each for size, part in zip(values.shape, block, strict=True) for each in (size // part, part)]
    order = (*range(1, len(parts), 2), *range(0, len(parts), 2))
    return values.reshape(parts).transpose(order).reshape(math.prod(block), -1)


def from_columns(columns: npt.NDArray[Any], block: Sequence[int], shape: Sequence[int]) -> npt.NDArray[Any]:
    """The tensor of that shape whose blocks these are, as an array that owns its memory; undoes `as_columns`."""
    counts = [size // part for size, part in zip(shape, block, strict=True)]
    order = [place for each in range(len(block)) for place in (len(block) + each, each)]
    return np.ascontiguousarray(columns.reshape(*block, *counts).transpose(order)).reshape(shape)


def written(transform: Transform) -> bytes:
    """A transform as bytes: a header, then its arrays, little-endian, one after another."""
    tables = transform.tables
    block = (*transform.block, *[0] * (_MOST_DIMENSIONS - len(transform.block)))
    shifts = (transform.value_shift, transform.backward_shift)
    header = _HEADER.pack(_MARK, len(transform.block), *block, *shifts, transform.components, len(tables.frequencies))
    arrays = (
        (transform.forward, "<i2"),
        (transform.backward, "<i2"),
        (transform.centre, "<i4"),
        (transform.forward_shifts, "<i2"),
        (transform.lifts, "<i2"),
        (tables.low, "<i2"),
        (tables.lengths, "<i2"),
        (tables.frequencies, "<i2"),
    )
    return header + b"".join(array.astype(kind).tobytes() for array, kind in arrays)


def read(content: bytes, name: str = "the transform") -> Transform:
    """What `written` wrote. Raises CodecError naming it for anything else; takes memory in proportion to the content."""
    if len(content) < _HEADER.size or not content.startswith(_MARK):
        raise CodecError(f"{name} is no stored transform: its {len(content)} bytes do not begin as one")
    _, dimensions, *block, value_shift, backward_shift, rows, frequencies = _HEADER.unpack_from(content)
    shape = tuple(block[:dimensions])
    values = math.prod(shape)
    arrays: list[Integers] = []
    place = _HEADER.size
    wide = 2 * (2 * rows * values + 4 * rows + frequencies) + 4 * values
    if len(content) - place != wide or dimensions > _MOST_DIMENSIONS or any(block[dimensions:]):
        raise CodecError(f"{name}: {len(content) - place} bytes do not hold {rows} components of blocks {shape}")
    sizes = ((rows, values), (values, rows), (values,), (rows,), (rows,), (rows,), (rows,), (frequencies,))
    for number, size in enumerate(sizes):
        kind = np.dtype("<i4" if number == 2 else "<i2")
        arrays.append(np.frombuffer(content, kind, math.prod(size), place).astype(np.int64).reshape(size))
        place += kind.itemsize * math.prod(size)
    forward, backward, centre, forward_shifts, lifts, *tables = arrays
    return Transform(shape, forward, backward, centre, forward_shifts, lifts, value_shift, backward_shift, Tables(*tables))
