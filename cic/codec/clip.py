"""The range that makes the mean squared error of four bits small: long tails are clipped, the bulk gets finer steps.

The trade of clipping against rounding error is that of Banner, Nahshan, Soudry, "Post training 4-bit quantization of
convolutional networks for rapid-deployment" (NeurIPS 2019). They assume a distribution; here the error of some ranges is
computed from a histogram of the tensor at hand, which needs no calibration and costs about 0.1 ms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BINS = 256
# At most so many values are looked at, evenly spread.
_SAMPLE = 16_384
_WIDEST = 2.0**120
_SHARES = np.linspace(0.2, 1.0, 33)


def clipped_range(values: Floats, low: float, high: float, levels: int) -> tuple[float, float]:
    """The part of [low, high] to code: both ends moved towards 0 by one factor, the one with the least squared error.

    values: float32[n], finite, within [low, high]. Ranges that do not hold 0, empty ones, and those so wide that float32
    cannot hold their width, for which there is no grid either, stay as they are.
    """
    if not low <= 0 <= high or low == high or high - low > _WIDEST:
        return low, high
    sample = values[:: max(1, len(values) // _SAMPLE)]
    width = (high - low) / _BINS
    bins = ((sample - np.float32(low)) * np.float32(1 / width)).astype(np.int64) if width > 1e-35 else None
    if bins is None:
        return low, high
    counts = np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)
    # Exact zeros are free under every range; a bin's centre stands for the other values in it.
    counts[min(int(-low / width), _BINS - 1)] -= int(np.count_nonzero(sample == 0))
    centres = low + (np.arange(_BINS) + 0.5) * width
    share = _SHARES[:, None]
    step = (high - low) * share / levels
    zero = np.rint(-low * share / step)
    nearest = (np.clip(np.rint(centres / step) + zero, 0, levels) - zero) * step
    # Within a bin values vary; steps near a bin's width would otherwise look free of error.
    errors = ((centres - nearest) ** 2 + width**2 / 12) @ counts
    best = float(_SHARES[int(np.argmin(errors))])
    return low * best, high * best
