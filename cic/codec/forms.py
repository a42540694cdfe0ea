"""How values become a body of bytes, before any entropy stage: as they are, in half precision, or on an affine grid.

The size of a body follows from shape and type alone, so a receiver knows it before it looks at a payload.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cic.codec.clip import clipped_range
from cic.codec.grid import Grid, fine_grid_for, fine_symbols, grid_for, symbols, values
from cic.codec.half import halved, widened
from cic.codec.nibbles import pack, packed_bytes, unpack
from cic.codec.tensors import FLOATS, Array, array_from, bytes_of, carrier, count, floats_of, of_floats
from cic.errors import CodecError

Bytes = NDArray[np.uint8]
Floats64 = NDArray[np.float64]
_SMALL_PART = 2.0**-8


class Form(Protocol):
    """One way to write values. `write` gives None for values it cannot hold; the codec then sends them as they are.

    A form may also refuse values, by a CodecError that names the tensor.
    """

    @property
    def lossless(self) -> bool: ...

    def accepts(self, dtype: str) -> bool: ...

    def width(self, dtype: str) -> int:
        """Bytes of one value where those of equal rank compress better together, else 1."""

    def body_bytes(self, shape: Sequence[int], dtype: str) -> int: ...

    def write(self, array: Array, dtype: str, name: str) -> Bytes | None: ...

    def read(self, body: Bytes, shape: Sequence[int], dtype: str, name: str) -> Array:
        """The values of a body of `body_bytes`. Raises CodecError naming the tensor."""


@dataclass(frozen=True)
class Raw:
    """Every type, as it is."""

    lossless: bool = True

    def accepts(self, dtype: str) -> bool:
        return True

    def width(self, dtype: str) -> int:
        return carrier(dtype).itemsize

    def body_bytes(self, shape: Sequence[int], dtype: str) -> int:
        return count(shape) * carrier(dtype).itemsize

    def write(self, array: Array, dtype: str, name: str) -> Bytes:
        return bytes_of(array)

    def read(self, body: Bytes, shape: Sequence[int], dtype: str, name: str) -> Array:
        if dtype == "bool":
            # A peer may send other bytes than 0 and 1, which torch takes for neither.
            truths: Array = (body != 0).reshape(shape)
            return truths
        return array_from(body, carrier(dtype)).reshape(shape)


@dataclass(frozen=True)
class Half:
    """IEEE half precision, NaN and infinities included; not for finite values that it would make infinite."""

    lossless: bool = False

    def accepts(self, dtype: str) -> bool:
        return dtype in FLOATS

    def width(self, dtype: str) -> int:
        return 2

    def body_bytes(self, shape: Sequence[int], dtype: str) -> int:
        return 2 * count(shape)

    def write(self, array: Array, dtype: str, name: str) -> Bytes | None:
        if dtype == "float16":
            return bytes_of(array)
        halves = halved(array if dtype == "float64" else floats_of(array, dtype))
        return None if halves is None else bytes_of(halves)

    def read(self, body: Bytes, shape: Sequence[int], dtype: str, name: str) -> Array:
        halves = array_from(body, np.dtype(np.float16))
        return (halves if dtype == "float16" else of_floats(widened(halves), dtype)).reshape(shape)


@dataclass(frozen=True)
class Affine:
    """Whole numbers 0 … levels on a grid (`cic.codec.grid`), a byte each, or half a byte if 15 is the last.

    The body: float32 scales, int16 zeros, one of each a channel, then the symbols in the order of the values.
    by_channel: a grid for each place along dimension 1 of tensors with four dimensions and more, else along the last.
    clipped: the range is the one of least squared error (`cic.codec.clip`) instead of that of the values.
    fine: zeros are int32, for ranges that are narrow for their magnitude.
    """

    levels: int
    by_channel: bool = False
    clipped: bool = False
    fine: bool = False
    lossless: bool = False

    def finer(self) -> Affine:
        """The form for values that this one cannot tell apart."""
        return replace(self, fine=True)

    def accepts(self, dtype: str) -> bool:
        return dtype in FLOATS

    def width(self, dtype: str) -> int:
        return 1

    def body_bytes(self, shape: Sequence[int], dtype: str) -> int:
        return self._figure_bytes * self._blocks(shape)[1] + self._symbol_bytes(count(shape))

    def write(self, array: Array, dtype: str, name: str) -> Bytes | None:
        if not array.size:
            return None
        blocks = floats_of(array, dtype).reshape(self._blocks(array.shape))
        with np.errstate(invalid="ignore"):  # numpy warns of signalling NaN
            low, high = (ends.astype(np.float64) for ends in _ranges(blocks))
        if self.clipped and np.isfinite(low).all() and np.isfinite(high).all():
            shorter = clipped_range(blocks.reshape(-1), float(low[0]), float(high[0]), self.levels)
            low, high = (np.array([end], np.float32).astype(np.float64) for end in shorter)
            blocks = np.clip(blocks, np.float32(low[0]), np.float32(high[0]))
        grid = (fine_grid_for if self.fine else grid_for)(low, high, self.levels)
        if grid is None or not _ends_are_finite(grid, dtype):
            return None
        if dtype == "float64" and not _float32_will_do(array.reshape(blocks.shape), low, high, self.levels):
            return None
        body = np.empty(self.body_bytes(array.shape, dtype), np.uint8)
        scales, figures = 4 * len(grid.scale), self._figure_bytes * len(grid.scale)
        body[:scales] = bytes_of(grid.scale)
        body[scales:figures] = bytes_of(grid.zero)
        write_symbols = fine_symbols if self.fine else symbols
        if self.levels < 16:
            marks = np.empty(blocks.shape, np.uint8)
            write_symbols(blocks, grid, marks)
            body[figures:] = pack(marks.reshape(-1))
        else:
            write_symbols(blocks, grid, body[figures:].reshape(blocks.shape))
        return body

    def read(self, body: Bytes, shape: Sequence[int], dtype: str, name: str) -> Array:
        blocks = self._blocks(shape)
        scales, figures = 4 * blocks[1], self._figure_bytes * blocks[1]
        scale = array_from(body[:scales], np.dtype(np.float32))
        zero = array_from(body[scales:figures], np.dtype(np.int32 if self.fine else np.int16))
        grid = Grid(scale, zero, self.levels)
        if not grid.is_finite():
            raise CodecError(f"{name}: the payload has a scale that is not positive or makes values infinite")
        marks = body[figures:]
        if self.levels < 16:
            marks = unpack(marks, count(shape), name)
        return of_floats(values(marks.reshape(blocks), grid), dtype).reshape(shape)

    @property
    def _figure_bytes(self) -> int:
        """Of the scale and the zero of a channel."""
        return 8 if self.fine else 6

    def _symbol_bytes(self, values: int) -> int:
        return packed_bytes(values) if self.levels < 16 else values

    def _blocks(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """The shape as (outer, channels, inner); one channel if there is one grid for all."""
        if not self.by_channel or not shape:
            return 1, 1, count(shape)
        axis = 1 if len(shape) >= 4 else len(shape) - 1
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _ranges(blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least and greatest value of each channel; NaN where there is one."""
    if blocks.shape[2] == 1:
        flat = blocks[:, :, 0]
        return flat.min(axis=0), flat.max(axis=0)
    return blocks.min(axis=2).min(axis=0), blocks.max(axis=2).max(axis=0)


def _float32_will_do(blocks: NDArray[np.float64], low: Floats64, high: Floats64, levels: int) -> bool:
    """Are these values so near to float32 ones that the difference is next to nothing of a step? low, high: [channels]."""
    lost = np.abs(blocks - blocks.astype(np.float32)).max(axis=(0, 2))
    return bool((lost <= (high - low) * (_SMALL_PART / levels)).all())


def _ends_are_finite(grid: Grid, dtype: str) -> bool:
    """Do the outermost points of the grid stay finite in the tensor's own type? In float32 they do."""
    if dtype != "float16":
        return True
    zero = grid.zero.astype(np.float32)
    ends = np.concatenate((-zero * grid.scale, (grid.levels - zero) * grid.scale))
    rounded = of_floats(ends, dtype)
    return bool(np.isfinite(floats_of(rounded, dtype)).all())
