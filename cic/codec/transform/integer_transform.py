"""A transform of the channels of one tensor: few components, one quantiser step for all, a static table of symbols for each.

The transform is linear and made for its tensor from calibration inputs (`cic.precision.transforms.karhunen_loeve` says how,
and why one step for all components is right). Device and server hold the same numbers, so a payload is nothing but
entropy-coded symbols.

All arithmetic is on whole numbers that float64 holds exactly: values times a power of two, forward and backward rows times
another, and sums below 2^53. A matrix product of such numbers has no rounding, in whatever order a library adds them up, so
every machine and every version of numpy makes the same symbols, and the same values again.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cic.codec.transform.rans import Integers, Tables
from cic.errors import CodecError

# Numbers are below 2 to these. With 2^12 channels, forward sums stay below 2^(22 + 1 + 18 + 12), backward ones below
# 2^(15 + 22 + 12): float64 holds all of them.
VALUE_BITS, FORWARD_BITS, BACKWARD_BITS = 22, 18, 22
MOST_CHANNELS = 1 << 12
# What a stored transform begins with: a mark; the axis and three shifts; channels, components, frequencies.
_HEADER = struct.Struct("<16s4b3I")
_MARK = b"CIC transform 1\n"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Transform:
    """Of C channels into R components; y = forward (x 2^value_shift - centre) / 2^forward_shift, rounded, are the symbols.

    axis: of the channels, counted from the first. forward: int64[R, C]. backward: int64[C, R]. centre: int64[C].
    Read back, x = backward y / 2^backward_shift + centre / 2^value_shift.

    Raises:
        CodecError: shapes that do not fit, or numbers that would not be exact.
    """

    axis: int
    forward: Integers
    backward: Integers
    centre: Integers
    value_shift: int
    forward_shift: int
    backward_shift: int
    tables: Tables

    def __post_init__(self) -> None:
        rows, channels = self.forward.shape if self.forward.ndim == 2 else (-1, -1)
        if not 0 < channels <= MOST_CHANNELS or rows < 0 or self.backward.shape != (channels, rows):
            raise CodecError(
                f"a transform has from 1 to {MOST_CHANNELS} channels and rows as wide; forward is {self.forward.shape},"
                f" backward {self.backward.shape}"
            )
        if self.centre.shape != (channels,) or self.tables.rows != rows or not 0 <= self.axis < 8:
            raise CodecError(
                f"a transform of {channels} channels has as many centres, and a table for each of {rows} components"
            )
        if not all(-60 <= shift <= 60 for shift in (self.value_shift, self.forward_shift, self.backward_shift)):
            raise CodecError("the shifts of a transform are from -60 to 60")
        for what, numbers, bits in (
            ("forward rows", self.forward, FORWARD_BITS),
            ("backward rows", self.backward, BACKWARD_BITS),
            ("centres", self.centre, VALUE_BITS),
        ):
            if numbers.size and int(np.abs(numbers).max()) >= 1 << bits:
                raise CodecError(f"the {what} of a transform are below 2^{bits}")

    @property
    def channels(self) -> int:
        return int(self.forward.shape[1])

    @property
    def components(self) -> int:
        return int(self.forward.shape[0])

    def positions(self, shape: Sequence[int]) -> int:
        """How many vectors of channels a tensor of this shape has. Raises CodecError if its channels are not these."""
        if len(shape) <= self.axis or shape[self.axis] != self.channels:
            raise CodecError(f"a tensor of shape {tuple(shape)} has no {self.channels} channels in dimension {self.axis}")
        return math.prod(shape) // self.channels

    def symbols(self, values: npt.NDArray[Any]) -> Integers | None:
        """int64[R, positions]; None if a value is not finite, or larger than calibration would have it by far."""
        columns = np.moveaxis(values, self.axis, 0).reshape(self.channels, -1).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(np.ldexp(columns, self.value_shift)) - self._centre
            if whole.size and not np.abs(whole).max() < 1 << (VALUE_BITS + 1):
                return None
        return np.rint(np.ldexp(self._forward @ whole, -self.forward_shift)).astype(np.int64)

    def values(self, symbols: Integers, shape: Sequence[int], dtype: str) -> npt.NDArray[Any]:
        """The tensor that symbols stand for, of that shape and type."""
        scaled = np.ldexp(self._backward @ symbols.astype(np.float64), -self.backward_shift)
        columns = scaled + np.ldexp(self._centre, -self.value_shift)
        moved = [size for place, size in enumerate(shape) if place != self.axis]
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(np.moveaxis(columns.reshape(self.channels, *moved), 0, self.axis)).astype(dtype)

    @cached_property
    def _forward(self) -> Reals:
        return self.forward.astype(np.float64)

    @cached_property
    def _backward(self) -> Reals:
        return self.backward.astype(np.float64)

    @cached_property
    def _centre(self) -> Reals:
        return self.centre.astype(np.float64)[:, None]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `written`, in hexadecimal: two transforms with one digest write and read the same payloads."""
        return hashlib.sha256(written(self)).hexdigest()


def written(transform: Transform) -> bytes:
    """A transform as bytes: a header, then its arrays, little-endian, one after another."""
    tables = transform.tables
    shifts = (transform.value_shift, transform.forward_shift, transform.backward_shift)
    sizes = (transform.channels, transform.components, len(tables.frequencies))
    arrays = (transform.forward, transform.backward, transform.centre, tables.low, tables.lengths, tables.frequencies)
    return _HEADER.pack(_MARK, transform.axis, *shifts, *sizes) + b"".join(array.astype("<i4").tobytes() for array in arrays)


def read(content: bytes, name: str = "the transform") -> Transform:
    """What `written` wrote. Raises CodecError naming it for anything else; takes memory in proportion to the content."""
    if len(content) < _HEADER.size or not content.startswith(_MARK):
        raise CodecError(f"{name} is no stored transform: its {len(content)} bytes do not begin as one")
    _, axis, value_shift, forward_shift, backward_shift, channels, components, frequencies = _HEADER.unpack_from(content)
    shapes = ((components, channels), (channels, components), (channels,), (components,), (components,), (frequencies,))
    body = content[_HEADER.size :]
    if sum(map(math.prod, shapes)) * 4 != len(body):
        raise CodecError(f"{name}: {len(body)} bytes do not hold {channels} channels and {components} components")
    numbers, arrays, place = np.frombuffer(body, "<i4").astype(np.int64), [], 0
    for shape in shapes:
        arrays.append(numbers[place : place + math.prod(shape)].reshape(shape))
        place += math.prod(shape)
    forward, backward, centre, *tables = arrays
    return Transform(axis, forward, backward, centre, value_shift, forward_shift, backward_shift, Tables(*tables))
