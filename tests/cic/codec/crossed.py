"""Tensors that cross under a codec, and whether what arrives has the same bits."""

from __future__ import annotations

import numpy as np

from cic.codec.registry import codec
from tests.cic.codec.tensors_to_send import (
    CODECS,
    ENDINGS,
)

ALL = [form + ending for form in CODECS for ending in ENDINGS]


def crossed(name: str, tensor: np.ndarray) -> np.ndarray:
    payload = codec(name).encode(tensor)
    dtype = tensor.dtype.name
    assert len(payload) <= codec(name).largest_bytes(tensor.shape, dtype)
    back = codec(name).decode(payload, tensor.shape, dtype)
    assert back.shape == tensor.shape and back.dtype == tensor.dtype
    return back


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


SHAPE = (2, 6, 7, 5)

TENSOR = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
