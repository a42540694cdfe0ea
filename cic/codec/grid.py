"""The grid of an affine codec: value = scale * (symbol - zero), with symbols 0 … levels.

From the range [low, high] of the values come a scale and a whole number `zero` such that

* every value of the range lies within half a scale of a grid point, so no value is clipped;
* 0.0 is a grid point whenever the range holds it, so what ReLU made zero stays exactly zero;
* a constant is a grid point, hence exact;
* scale * (symbol - zero) takes one float32 multiplication, so every machine decodes the same bits; and none is rounded in
  it where the range holds 0, the scale having 16 significant bits and the other factor 8;
* if symbols 0 and `levels` both occur and the range holds 0, coding what was decoded gives the same symbols, zero and scale.

Why no value is clipped although `zero` is rounded: low falls on symbol zero + low / scale, which is within 1/2 of 0, and
high within 1/2 of `levels` likewise. Rounding the scale to its 16 bits can spoil the latter when low / scale lies halfway
between whole numbers, to about 2^-8; then neighbouring scales are tried, and at last one so much wider that it must do,
under which the outermost symbol goes unused. All are judged by the very float32 arithmetic that codes values; it is
monotone, so the two ends vouch for everything between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_SCALE_BITS = 16
# A range narrower than this share of its magnitude is coded as if it were that wide; keeps `zero` within 16 bits.
_NARROWEST = 1 / 64
_TRIED = (0, 1, -1, 2, -2)
# So much wider a scale always fits: 2^-6 of 255 levels are almost four symbols.
_SURELY_FITS = 1 << (_SCALE_BITS - 7)
# Adding it to a float32 below 2^22 rounds that to a whole number, ties to even, and leaves it in the lowest bits.
_ROUNDING = np.float32(1.5 * 2**23)


@dataclass(frozen=True)
class Grid:
    """One grid a channel. scale: float32[channels], positive and finite. zero: int16[channels]. levels: last symbol."""

    scale: Floats
    zero: NDArray[np.int16]
    levels: int

    def is_finite(self) -> bool:
        """Is every scale positive, and every point that a symbol can name a finite float32?"""
        farthest = np.maximum(np.abs(self.zero.astype(np.float64)), np.abs(self.levels - self.zero.astype(np.float64)))
        with np.errstate(over="ignore", invalid="ignore"):
            largest = self.scale.astype(np.float64) * farthest
        return bool(np.all(self.scale > 0) and np.all(largest <= np.finfo(np.float32).max))


def grid_for(low: Doubles, high: Doubles, levels: int) -> Grid | None:
    """The grid for channels with ranges [low, high]; None if there is none, because values are infinite, NaN or tiny.

    low, high: float64[channels] holding float32 values, low <= high.
    """
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    magnitude = np.maximum(np.abs(low), np.abs(high))
    narrowest = magnitude * (_NARROWEST / levels)
    span = (high - low) / levels
    narrow, constant = span < narrowest, low == high
    # Powers of two for narrow ranges: coding what was decoded uses the same grid or one twice as fine.
    scale = np.where(narrow, _power_of_two(narrowest), _rounded(span, 0))
    zero = np.rint(-low / np.where(scale > 0, scale, 1))
    settled = narrow | constant
    for step in (*_TRIED, _SURELY_FITS):
        if settled.all():
            break
        tried = _rounded(span, step)
        tried_zero = np.rint(-low / np.where(tried > 0, tried, 1))
        first, last = _symbols(low, tried, tried_zero), _symbols(high, tried, tried_zero)
        fits = (first >= 0) & (last <= levels) if step == _SURELY_FITS else (first == 0) & (last == levels)
        take = fits & ~settled
        scale, zero = np.where(take, tried, scale), np.where(take, tried_zero, zero)
        settled |= take
    scale = np.where(constant, np.where(magnitude > 0, magnitude, 1.0), scale)
    zero = np.where(constant, -np.sign(low), zero)
    if not settled.all() or (scale < np.finfo(np.float32).tiny).any() or (np.abs(zero) > np.iinfo(np.int16).max).any():
        return None
    grid = Grid(scale.astype(np.float32), zero.astype(np.int16), levels)
    return grid if grid.is_finite() else None


def symbols(values: Floats, grid: Grid) -> NDArray[np.uint8]:
    """The nearest symbol of each value. values: float32[outer, channels, inner], within the range of the grid."""
    raised = values * _across(np.float32(1) / grid.scale)
    raised += _across(grid.zero.astype(np.float32) + _ROUNDING)
    return raised.view(np.uint32).astype(np.uint8)


def values(marks: NDArray[np.uint8], grid: Grid) -> Floats:
    """The values of symbols. marks: uint8[outer, channels, inner]; float32 of the same shape."""
    found = marks.astype(np.float32)
    found -= _across(grid.zero.astype(np.float32))
    found *= _across(grid.scale)
    return found


def _across(figures: Floats) -> Floats:
    return figures.reshape(1, -1, 1)


def _symbols(points: Doubles, scale: Doubles, zero: Doubles) -> Doubles:
    """What `symbols` makes of a few points, as numbers that may lie outside 0 … levels."""
    with np.errstate(all="ignore"):
        inverse = np.float32(1) / scale.astype(np.float32)
        raised = points.astype(np.float32) * inverse + (zero.astype(np.float32) + _ROUNDING)
    return raised.astype(np.float64) - float(_ROUNDING)


def _rounded(numbers: Doubles, step: int) -> Doubles:
    """The nearest numbers with few significant bits, or those `step` places further from 0."""
    mantissa, exponent = np.frexp(numbers)
    return np.ldexp(np.rint(np.ldexp(mantissa, _SCALE_BITS)) + step, exponent - _SCALE_BITS)


def _power_of_two(numbers: Doubles) -> Doubles:
    """The least powers of two that are not below."""
    mantissa, exponent = np.frexp(numbers)
    return np.where(numbers > 0, np.ldexp(1.0, exponent - (mantissa == 0.5)), 0.0)
