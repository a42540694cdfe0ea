"""Half precision and back. numpy converts in software, seventy times slower than torch, which is used where it is loaded."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]


def halved(values: NDArray[np.float32] | NDArray[np.float64]) -> Halves | None:
    """Rounded to nearest, ties to even, NaN and infinities kept; None if a finite value would become infinite."""
    # torch rounds float64 twice, and warns of memory that it may not write to.
    torch = _torch() if values.dtype == np.float32 and values.flags.writeable else None
    if torch is not None:
        halves: Halves = torch.from_numpy(values).half().numpy()
    else:
        with np.errstate(all="ignore"):  # signalling NaN are "invalid"
            halves = values.astype(np.float16)
    if values.size and not np.isfinite(_magnitude(halves)):
        infinite = np.isinf(halves)
        if not np.isinf(values[infinite]).all():
            return None
    return halves


def widened(halves: Halves) -> NDArray[np.float32]:
    """The same values as float32."""
    torch = _torch() if halves.flags.writeable else None
    with np.errstate(all="ignore"):
        wide: NDArray[np.float32] = halves.astype(np.float32) if torch is None else torch.from_numpy(halves).float().numpy()
    return wide


def _magnitude(halves: Halves) -> float:
    """The largest magnitude as bits say: those of infinity and NaN are the largest. Integers, for numpy is slow on halves."""
    return float((halves.view(np.uint16).reshape(-1) & np.uint16(0x7FFF)).max().view(np.float16))


def _torch() -> Any:
    """torch if this process has loaded it already."""
    return sys.modules.get("torch")
