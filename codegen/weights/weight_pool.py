"""The weights of all halves loaded in this process, each in memory once, for as long as a half uses it.

Weights are known by the digest of their bytes, so it does not matter which half or which bundle asks for them. The pool
only remembers: whoever asked keeps the tensors alive.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

Tensor = TypeVar("Tensor")


class WeightPool:
    """Tensors of torch or arrays of numpy by key, held weakly."""

    def __init__(self) -> None:
        self._tensors: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """Return the tensor of a key, made if no one has it. A key stands for one kind of tensor."""
        with self._lock:
            tensor: Tensor | None = self._tensors.get(key)
            if tensor is None:
                tensor = self._tensors[key] = make()
            return tensor

    def __len__(self) -> int:
        return len(self._tensors)


POOL = WeightPool()
"""The one pool of the process."""


def return_freed_memory() -> None:
    """Give the system back what was freed, where the C library can (glibc); else do nothing.

    Weights pass through memory while they are put into another layout. What they leave is kept by the allocator in pieces
    the next ones may not fit in, and would otherwise add up to a multiple of the model with every half loaded.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
