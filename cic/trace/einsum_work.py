"""Work of an Einstein summation: one count for both front ends, so that both price alike."""

from __future__ import annotations

import math
from collections.abc import Sequence


def einsum_flops(equation: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """Count one multiply-add for each combination of all indices, as a loop nest would do it."""
    sizes: dict[str, int] = {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        head, dots, tail = term.partition("...")
        middle = [f".{index}" for index in range(len(shape) - len(head) - len(tail))] if dots else []
        for label, size in zip([*head, *middle, *tail], shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return 2 * math.prod(sizes.values())
