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
