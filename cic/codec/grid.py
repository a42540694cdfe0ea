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
between whole numbers, to about 2^-8; then neighbouring scales are tried, then slightly wider ones, and at last one so much
wider that it must do, under which the outermost symbol goes unused. All are judged by the very float32 arithmetic that codes
values; it is monotone, so the two ends vouch for everything between.

Far from zero `zero` grows: a range of 1/n of its magnitude has |zero| up to n * levels. With 16 bits ranges down to 1/64 are
coded (`grid_for`), with 32 bits any (`fine_grid_for`): a value less the first grid point is exact in float32 where the two
are within a factor 2 (Sterbenz, Floating-Point Computation, 1974, theorem 4.3.1), which ranges so narrow ensure, and the
symbols at the two ends are clipped, since the first point is itself a rounded product. So a value is off by half a step and
two roundings of float32 at most: that of the first point and that of its own point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Symbols = NDArray[np.uint8]

_SCALE_BITS = 16
_FLOAT_BITS = 24
# A range narrower than this share of its magnitude needs a `zero` of more than 16 bits.
_NARROWEST = 1 / 64
_TRIED = (1, -1, 2, -2)
_WIDER = (4, 16, 64)
# So much wider a scale always fits: 2^-7 of 255 levels are two symbols.
_SURELY_FITS = 1 << (_SCALE_BITS - 7)
# Adding it to a float32 below 2^22 rounds that to a whole number, ties to even, and leaves it in the lowest bits.
_ROUNDING = np.float32(1.5 * 2**23)
# Between these no scale, and no point that a symbol can name, leaves the normal numbers of float32: a constant is its own
# scale, and the last symbol 256 times that.
_SMALLEST, _LARGEST = 2.0**-100, 2.0**118
_SMALLEST_SCALE = 2.0**-120
# Values worked on at a time: what they need stays in the second-level cache.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Grid:
    """One grid a channel. scale: float32[channels], positive, finite. zero: whole, [channels]. levels: last symbol."""

    scale: Floats
    zero: NDArray[np.int16] | NDArray[np.int32]
    levels: int

    def is_finite(self) -> bool:
        """Is every scale positive, and every point that a symbol can name a finite float32?"""
        zero = self.zero.astype(np.float64)
        with np.errstate(all="ignore"):
            largest = self.scale * np.maximum(np.abs(zero), np.abs(self.levels - zero))
        return bool(np.all(self.scale > 0) and np.all(largest <= np.finfo(np.float32).max))


def grid_for(low: Doubles, high: Doubles, levels: int) -> Grid | None:
    """The grid for channels with ranges [low, high], `zero` of 16 bits.

    None if there is none, because values are infinite, NaN, huge or tiny, or a range is narrow for its magnitude.
    low, high: float64[channels] holding float32 values, low <= high.
    """
    magnitude = np.maximum(-low, high)
    if not _on_a_grid(low, magnitude):
        return None
    span = (high - low) / levels
    narrowest = magnitude * (_NARROWEST / levels)
    small = span < np.maximum(narrowest, _SMALLEST_SCALE)
    # Few tensors have such channels: constants, those far smaller than others, and those too narrow for their magnitude.
    some_small = bool(small.any())
    if some_small:
        if ((span < narrowest) & ~_constant(low, high) & (narrowest > _SMALLEST_SCALE)).any():
            return None
        # Strictly narrower, so no end rounds to beyond `levels`.
        span = np.where(small, _power_of_two(np.maximum(narrowest, _SMALLEST_SCALE)), span)
    scale, zero, first, last = _ends(low, high, span, 0)
    settled = _tight(first, last, levels) | small
    if not settled.all():
        scale, zero = _settled(low, high, span, levels, (scale, zero, settled))
    if some_small:
        scale, zero = _exact_constants(low, high, scale, zero)
    return Grid(scale.astype(np.float32), zero.astype(np.int16), levels)


def fine_grid_for(low: Doubles, high: Doubles, levels: int) -> Grid | None:
    """As `grid_for`, `zero` of 32 bits; no range is too narrow."""
    magnitude = np.maximum(-low, high)
    if not _on_a_grid(low, magnitude):
        return None
    # Under a step of the last place of float32 every value of the range is a point of the grid.
    last_place = np.ldexp(1.0, np.frexp(magnitude)[1] - _FLOAT_BITS)
    mantissa, exponent = np.frexp(np.maximum((high - low) / levels, np.maximum(last_place, _SMALLEST_SCALE)))
    scale = np.ldexp(np.ceil(mantissa * 2**_SCALE_BITS), exponent - _SCALE_BITS)
    scale, zero = _exact_constants(low, high, scale, np.rint(-low / scale))
    return Grid(scale.astype(np.float32), zero.astype(np.int32), levels)


def _on_a_grid(low: Doubles, magnitude: Doubles) -> bool:
    """Are all values finite, and of a magnitude that scales can have? Written so that NaN fails, too."""
    largest = magnitude.max()
    return bool((_SMALLEST <= largest <= _LARGEST or largest == 0 == low.min()) and np.isfinite(low.min()))


def _constant(low: Doubles, high: Doubles) -> NDArray[np.bool_]:
    """Which channels are constants that can be their own scale?"""
    constant: NDArray[np.bool_] = (low == high) & (np.abs(low) >= _SMALLEST)
    return constant


def _exact_constants(low: Doubles, high: Doubles, scale: Doubles, zero: Doubles) -> tuple[Doubles, Doubles]:
    """Scale and zero of the channels; a constant is its own scale."""
    constant = _constant(low, high)
    return np.where(constant, np.abs(low), scale), np.where(constant, -np.sign(low), zero)


def symbols(values: Floats, grid: Grid, out: Symbols) -> None:
    """Write the nearest symbol of each value. values: float32[outer, channels, inner], within the range of the grid."""
    inverse, raise_by = _across(np.float32(1) / grid.scale), _across(grid.zero.astype(np.float32) + _ROUNDING)
    for part, channels in _blocks(values.shape):
        raised = values[part] * inverse[:, channels]
        raised += raise_by[:, channels]
        np.copyto(out[part], raised.view(np.uint32), casting="unsafe")


def fine_symbols(values: Floats, grid: Grid, out: Symbols) -> None:
    """As `symbols`, for a grid of `fine_grid_for`."""
    inverse, first = _across(np.float32(1) / grid.scale), _across(grid.scale * -grid.zero.astype(np.float32))
    for part, channels in _blocks(values.shape):
        places = values[part] - first[:, channels]
        places *= inverse[:, channels]
        np.clip(np.rint(places, out=places), 0, grid.levels, out=places)
        np.copyto(out[part], places, casting="unsafe")


def values(marks: Symbols, grid: Grid) -> Floats:
    """The values of symbols. marks: uint8[outer, channels, inner]; float32 of the same shape."""
    zero, scale = _across(grid.zero.astype(np.float32)), _across(grid.scale)
    found = np.empty(marks.shape, np.float32)
    for part, channels in _blocks(marks.shape):
        place = found[part]
        np.copyto(place, marks[part])
        place -= zero[:, channels]
        place *= scale[:, channels]
    return found


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[tuple[slice, slice, slice], slice]]:
    """Parts of an array [outer, channels, inner] of about `_BLOCK` values, and the channels of each."""
    outer, channels, inner = shape
    along_inner = max(1, min(inner, _BLOCK))
    along_channels = max(1, min(channels, _BLOCK // along_inner))
    along_outer = max(1, _BLOCK // (along_inner * along_channels))
    for first in range(0, outer, along_outer):
        for second in range(0, channels, along_channels):
            for third in range(0, inner, along_inner):
                some = slice(second, second + along_channels)
                yield (slice(first, first + along_outer), some, slice(third, third + along_inner)), some


def _across(figures: Floats) -> Floats:
    return figures.reshape(1, -1, 1)


def _settled(
    low: Doubles, high: Doubles, span: Doubles, levels: int, first: tuple[Doubles, Doubles, NDArray[np.bool_]]
) -> tuple[Doubles, Doubles]:
    """Scale and zero of the channels, where the first try left some unsettled."""
    scale, zero, settled = first
    for step in (*_TRIED, *_WIDER, _SURELY_FITS):
        next_scale, next_zero, first_symbol, last_symbol = _ends(low, high, span, step)
        if step in _TRIED:
            good = _tight(first_symbol, last_symbol, levels)
        else:
            good = (first_symbol >= _ROUNDING) & (last_symbol <= _ROUNDING + levels) | (step == _SURELY_FITS)
        take = good & ~settled
        scale, zero = np.where(take, next_scale, scale), np.where(take, next_zero, zero)
        settled = settled | good
        if settled.all():
            break
    return scale, zero


def _ends(low: Doubles, high: Doubles, span: Doubles, step: int) -> tuple[Doubles, Doubles, Floats, Floats]:
    """A scale of few bits near `span`, `step` places further from 0, and its zero.

    Then the symbols on which the ends of the range fall, raised by `_ROUNDING` as `symbols` computes them.
    """
    mantissa, exponent = np.frexp(span)
    scale = np.ldexp(np.rint(mantissa * 2**_SCALE_BITS) + step, exponent - _SCALE_BITS)
    zero = np.rint(-low / scale)
    inverse, raise_by = np.float32(1) / scale.astype(np.float32), zero.astype(np.float32) + _ROUNDING
    return scale, zero, low.astype(np.float32) * inverse + raise_by, high.astype(np.float32) * inverse + raise_by


def _tight(first: Floats, last: Floats, levels: int) -> NDArray[np.bool_]:
    """Do the ends of the range fall on symbols 0 and `levels`?"""
    tight: NDArray[np.bool_] = (first == _ROUNDING) & (last == _ROUNDING + levels)
    return tight


def _power_of_two(numbers: Doubles) -> Doubles:
    """The least powers of two that are not below."""
    mantissa, exponent = np.frexp(numbers)
    power: Doubles = np.ldexp(1.0, exponent - (mantissa == 0.5))
    return power
