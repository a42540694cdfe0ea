"""A `Row`: one amount of a placement, linear in it: what an op adds on either side, what crossing adds, what offloading adds.

The five features of a `Problem` are such rows, and so is any sum of rows with weights that are not negative: a cost at given
prices, an energy, the memory that weights take. A row is priced (`mincut.network.price_row`: the least amount of one row is one
minimum cut) or bounded (`mincut.bounded`: the least amount of one among the placements that keep others within limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mincut.capped import capped, sum_capped
from mincut.codecs import form_costs
from mincut.errors import BadProblemError
from mincut.problem import LARGEST_COST, BoolArray, Features, IntArray, Prices, Problem


@dataclass(frozen=True, eq=False)
class Row:
    """One amount, never negative.

    on_device, on_server: int64[n], what each op adds on that side.
    crossing: int64[F], what each form of `problem.forms` adds if its tensor crosses in it.
    once: what is added if any op is on the server.
    """

    name: str
    on_device: IntArray
    on_server: IntArray
    crossing: IntArray
    once: int = 0


def row_of(
    problem: Problem,
    name: str,
    *,
    on_device: IntArray | None = None,
    on_server: IntArray | None = None,
    crossing: IntArray | None = None,
    once: int = 0,
) -> Row:
    """A row of a problem; what is left out adds nothing.

    Raises:
        BadProblemError: an array of the wrong type or length, or an amount that is negative or above 2^60; names the row.
    """
    lengths = {"on_device": problem.op_count, "on_server": problem.op_count, "crossing": len(problem.forms.wire_bytes)}
    given = {"on_device": on_device, "on_server": on_server, "crossing": crossing}
    arrays = {}
    for field, length in lengths.items():
        array = given[field]
        array = np.zeros(length, dtype=np.int64) if array is None else array
        if not isinstance(array, np.ndarray) or array.dtype != np.int64 or array.shape != (length,):
            raise BadProblemError(f"{field} of the row {name!r} must be an int64 array of {length} entries, got {array!r}")
        if length and (array.min() < 0 or array.max() > LARGEST_COST):
            raise BadProblemError(f"{field} of the row {name!r} must lie in 0..2^60; it spans {array.min()}..{array.max()}")
        arrays[field] = array
    if not 0 <= once <= LARGEST_COST:
        raise BadProblemError(f"once of the row {name!r} must lie in 0..2^60; it is {once}")
    return Row(name, **arrays, once=once)


def amount(problem: Problem, row: Row, on_device: BoolArray, codec: IntArray | None = None) -> int:
    """The amount of a placement, counted from the problem alone, in Python's integers.

    Args:
        on_device: bool[n].
        codec: int64[m], which of its forms each tensor crosses in, if it crosses; None: its first.
    """
    used = problem.forms.chosen(codec)[problem.crossing(on_device)]
    parts = (row.on_device[on_device], row.on_server[~on_device], row.crossing[used])
    return sum(sum(part.tolist()) for part in parts) + (0 if bool(on_device.all()) else row.once)


def feature_rows(problem: Problem) -> tuple[Row, Row, Row, Row, Row]:
    """The five features as rows, in the order of `Features`: amount(problem, rows[i], …) == problem.features(…)[i]."""
    forms = problem.forms
    device, server, upload, download, offloads = Features._fields
    return (
        row_of(problem, device, on_device=problem.device_ns, crossing=forms.device_ns),
        row_of(problem, server, on_server=problem.server_ns, crossing=forms.server_ns),
        row_of(problem, upload, crossing=forms.wire_bytes),
        row_of(problem, download, on_server=problem.download_bytes),
        row_of(problem, offloads, once=1),
    )


def combined(name: str, rows: Sequence[Row], weights: Sequence[int], *, divisor: int = 1, most: int = LARGEST_COST) -> Row:
    """The sum of rows times weights, each entry divided by `divisor`, rounded down and cut off at `most`.

    Sums are exact whatever their size. Rounding down and cutting off never raise an entry, so `divisor` times the amount of the
    result is at most that of the exact sum: a lower bound on the one bounds the other.

    Args:
        rows: at least one, all of one problem. weights: as many integers, not negative.
        divisor: positive. most: at most 2^60.
    """
    once = sum(row.once * weight for row, weight in zip(rows, weights, strict=True))
    return Row(
        name,
        _combined([row.on_device for row in rows], weights, divisor, most),
        _combined([row.on_server for row in rows], weights, divisor, most),
        _combined([row.crossing for row in rows], weights, divisor, most),
        min(once // divisor, most),
    )


def _combined(parts: Sequence[IntArray], weights: Sequence[int], divisor: int, most: int) -> IntArray:
    used = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight and part.any()]
    if not used:
        return np.zeros_like(parts[0])
    largest = sum(int(part.max()) * weight for part, weight in used)
    if largest >= 2**62 or divisor >= 2**62:
        # Python's integers, of any size.
        total = sum((part.astype(np.object_) * weight for part, weight in used), start=np.zeros(len(parts[0]), np.object_))
        return np.asarray(np.minimum(total // divisor, most).astype(np.int64))
    total = sum((part * weight for part, weight in used), start=np.zeros_like(parts[0]))
    return np.asarray(np.minimum(total // divisor, most), dtype=np.int64)


def priced(problem: Problem, prices: Prices, limit: int) -> Row:
    """The cost at given prices as a row, each entry cut off at `limit` (at most 2^61), without a product that wraps."""
    on_server = capped(problem.server_ns, prices.server, limit)
    return Row(
        "cost",
        capped(problem.device_ns, prices.device, limit),
        sum_capped(on_server, capped(problem.download_bytes, prices.download, limit), limit),
        form_costs(problem.forms, prices, limit),
        min(prices.offload, limit),
    )
