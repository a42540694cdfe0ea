"""Products and sums that stop at a limit are what Python's integers say, cut off there."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mincut.capped import capped, halves, joined, sum_capped, total_at

amounts = st.integers(0, 2**61) | st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32, 2**60, 2**61])
limits = st.integers(1, 2**61) | st.sampled_from([1, 2**31, 2**60 + 1, 2**61])


@given(st.lists(st.integers(0, 2**48)), st.integers(0, 2**62), limits)
def test_products_and_sums_stop_at_the_limit(column: list[int], unit: int, limit: int) -> None:
    products = capped(np.array(column, dtype=np.int64), unit, limit)
    assert products.tolist() == [min(amount * unit, limit) for amount in column]
    assert sum_capped(products, products[::-1], limit).tolist() == [
        min(int(one) + int(other), limit) for one, other in zip(products, products[::-1], strict=True)
    ]


@given(st.lists(st.tuples(st.integers(0, 4), amounts, amounts), max_size=60), limits)
def test_halves_add_up_and_are_taken_away(rows: list[tuple[int, int, int]], limit: int) -> None:
    place = np.array([row[0] for row in rows], dtype=np.int64)
    more, less = (np.array([pick(row[1:]) for row in rows], dtype=np.int64) for pick in (max, min))
    difference = total_at(place, halves(more), 5) - total_at(place, halves(less), 5)
    expected = [sum(max(row[1:]) - min(row[1:]) for row in rows if row[0] == at) for at in range(5)]
    assert joined(difference, limit).tolist() == [min(total, limit) for total in expected]
