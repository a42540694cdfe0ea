"""Where in memory a tensor lies, and which tensors lie in the same place."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def elements_between(tensor: torch.Tensor) -> int:
    """Return how many elements there are from a tensor's first to its last in memory, both included; 0 if it has none."""
    if not tensor.numel():
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def overlapping(tensors: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """Return the pairs of positions of tensors that have a byte of memory in common, between their first and last elements."""
    starts = [tensor.data_ptr() for tensor in tensors]
    ends = [start + elements_between(tensor) * tensor.itemsize for start, tensor in zip(starts, tensors, strict=True)]
    return [
        (one, other)
        for other in range(len(tensors))
        for one in range(other)
        if max(starts[one], starts[other]) < min(ends[one], ends[other])
    ]
