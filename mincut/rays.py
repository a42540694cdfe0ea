"""Extreme rays of a polyhedral cone, in exact integers.

The double description method (Motzkin et al. 1953; Fukuda & Prodon 1996): keep the extreme rays of a pointed cone
{x : row . x >= 0 for every row so far}; a new row keeps the rays on its good side and joins every adjacent pair that
straddles it. Python integers make every step exact, so no tolerance decides what a vertex is. Made for few dimensions
(here at most five) and up to some hundred rays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd

Vector = tuple[int, ...]


class RayCone:
    """A pointed cone that shrinks as rows are added.

    Starts from a simplicial cone: `rows` linearly independent inequalities in as many dimensions, `rays[i]` on all of them
    with equality but the i-th.
    """

    def __init__(self, rows: Sequence[Vector], rays: Sequence[Vector]) -> None:
        self._rows = list(rows)
        everything = (1 << len(rows)) - 1
        # Which rows hold with equality at a ray, as a bit set.
        self._tight = {_reduced(ray): everything & ~(1 << index) for index, ray in enumerate(rays)}

    @property
    def rays(self) -> tuple[Vector, ...]:
        """The extreme rays, each divided by the greatest common divisor of its entries."""
        return tuple(self._tight)

    def tight_rows(self, ray: Vector) -> list[int]:
        """Indices (in the order of addition) of the rows that hold with equality at an extreme ray."""
        bits = self._tight[ray]
        return [index for index in range(len(self._rows)) if bits >> index & 1]

    def add(self, row: Vector) -> None:
        """Intersect with {x : row . x >= 0}."""
        bit = 1 << len(self._rows)
        self._rows.append(row)
        value = {ray: _dot(row, ray) for ray in self._tight}
        kept = {ray: tight | (bit if value[ray] == 0 else 0) for ray, tight in self._tight.items() if value[ray] >= 0}
        above = [ray for ray in self._tight if value[ray] > 0]
        below = [ray for ray in self._tight if value[ray] < 0]
        for inside in above:
            for outside in below:
                if self._adjacent(inside, outside):
                    joined = _reduced(
                        tuple(value[inside] * b - value[outside] * a for a, b in zip(inside, outside, strict=True))
                    )
                    # The new ray lies on the joining two-face: exactly the rows tight at both ends are tight on it.
                    kept[joined] = (self._tight[inside] & self._tight[outside]) | bit
        self._tight = kept

    def add_all(self, rows: Iterable[Vector]) -> None:
        for row in rows:
            self.add(row)

    def _adjacent(self, one: Vector, other: Vector) -> bool:
        # Two extreme rays share a two-face iff no third ray is tight wherever both are (Fukuda & Prodon, proposition 7).
        common = self._tight[one] & self._tight[other]
        if common.bit_count() < len(one) - 2:
            return False
        return not any(tight & common == common for ray, tight in self._tight.items() if ray is not one and ray is not other)


def rank(vectors: Iterable[Vector]) -> int:
    """Rank of a set of integer vectors, by fraction-free elimination."""
    pending = [vector for vector in vectors if any(vector)]
    found = 0
    while pending:
        pivot = pending.pop()
        column = next(index for index, entry in enumerate(pivot) if entry)
        found += 1
        pending = [
            _reduced(tuple(pivot[column] * b - other[column] * a for a, b in zip(pivot, other, strict=True)))
            for other in pending
        ]
        pending = [other for other in pending if any(other)]
    return found


def _dot(left: Vector, right: Vector) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _reduced(vector: Vector) -> Vector:
    divisor = gcd(*vector)
    return vector if divisor <= 1 else tuple(entry // divisor for entry in vector)
