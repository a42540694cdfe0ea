"""Which vectors of amounts are worth keeping: those that no other one is at most equal to in every amount.

Closed file: no call leaves it, because a cached numba kernel does not notice a change in a callee elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def minimal(points, keep):  # type: ignore[no-untyped-def]
    """Mark the points that no earlier one is at most equal to in every column.

    Args:
        points: int64[k, d], in lexicographic order: whatever is at most equal to a point then stands before it or is its equal.
        keep: bool[k], filled.

    Returns:
        How many are kept.
    """
    count, columns = points.shape
    kept = np.empty(count, dtype=np.int64)
    found = 0
    for point in range(count):
        covered = False
        for place in range(found):
            other = kept[place]
            covered = True
            for column in range(1, columns):
                if points[other, column] > points[point, column]:
                    covered = False
                    break
            if covered:
                # What has covered one point is tried first for the next.
                for later in range(place, 0, -1):
                    kept[later] = kept[later - 1]
                kept[0] = other
                break
        keep[point] = not covered
        if not covered:
            kept[found] = point
            found += 1
    return found


@njit(cache=True)
def beyond(points, front, keep):  # type: ignore[no-untyped-def]
    """Mark the points that no row of `front` is at most equal to in every column.

    Args:
        points: int64[k, d]. front: int64[f, d]. keep: bool[k], filled.

    Returns:
        How many are kept.
    """
    count, columns = points.shape
    rows = front.shape[0]
    found = 0
    last = 0
    for point in range(count):
        covered = False
        for step in range(-1, rows):
            # The row that covered the point before is tried first.
            row = last if step < 0 else step
            if row >= rows:
                continue
            covered = True
            for column in range(columns):
                if front[row, column] > points[point, column]:
                    covered = False
                    break
            if covered:
                last = row
                break
        keep[point] = not covered
        if not covered:
            found += 1
    return found
