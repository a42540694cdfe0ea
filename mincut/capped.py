"""Products and sums of int64 arrays that stop at a limit instead of wrapping."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def capped(amount: npt.NDArray[np.int64], unit: int, limit: int) -> npt.NDArray[np.int64]:
    """min(amount * unit, limit), elementwise, without ever forming a product that wraps; all non-negative, limit < 2^62."""
    if unit == 0:
        return np.zeros_like(amount)
    fits = amount <= limit // unit
    product: npt.NDArray[np.int64] = np.where(fits, amount, 0) * np.int64(min(unit, limit))
    return np.asarray(np.where(fits, product, limit), dtype=np.int64)


def sum_capped(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """min(left + right, limit) for addends of at most limit <= 2^61, so that the sum fits."""
    return np.asarray(np.minimum(left + right, limit), dtype=np.int64)


# Half of an int64: a sum of up to 2^31 halves fits, and halves may be added and taken away in any order.
HALF_BITS = 31
LOW_HALF = 2**HALF_BITS - 1


def halves(amount: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Non-negative amounts as rows of high and low halves, int64[2, *]: sums of these never wrap."""
    return np.stack((amount >> HALF_BITS, amount & LOW_HALF))


def joined(sums: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """min(sum, limit) of sums of halves that are not negative as a whole; limit <= 2^61."""
    high, low = sums[0] + (sums[1] >> HALF_BITS), sums[1] & LOW_HALF
    highest = limit >> HALF_BITS
    return np.asarray(np.minimum((np.minimum(high, highest + 1) << HALF_BITS) + low, limit), dtype=np.int64)


def total_at(place: npt.NDArray[np.int64], halved: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Sums of halves by place: int64[2, size], where column p adds up those with place[i] == p."""
    sums = np.zeros((2, size), dtype=np.int64)
    for row, amounts in zip(sums, halved, strict=True):
        np.add.at(row, place, amounts)
    return sums
