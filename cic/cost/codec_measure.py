"""Measured codec times: every codec on this machine, on tensors of several sizes and shares of zeros. Needs torch and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cic.codec.registry import codec, codec_names
from cic.codec.tensors import Array
from cic.cost.codec_time import CodecTime, Rate
from cic.cost.stopwatch import seconds_of

# Values of a tensor: a late layer, a middle one, an early one.
SIZES = (2_048, 16_384, 131_072)
# Shifts of a normal distribution before ReLU: nearly no zeros, half, nine tenths; they compress very differently.
SHIFTS = (3.0, 0.0, -1.28)


def measure_codecs(names: Sequence[str] | None = None, *, budget_s: float = 0.004) -> tuple[CodecTime, ...]:
    """Times of the codecs named, or of all that are here; each of 18 measurements a codec takes about `budget_s`.

    Raises CodecError for an unknown codec.
    """
    tensors = [activation(size, shift) for size in SIZES for shift in SHIFTS]
    return tuple(_measure(name, tensors, budget_s) for name in (codec_names() if names is None else names))


@cache
def codecs_here() -> tuple[CodecTime, ...]:
    """All codecs on this machine, measured once in the life of a process, which takes two seconds."""
    return measure_codecs()


def activation(size: int, shift: float) -> Array:
    """float32[1, 64, size / 64 / 16, 16]: rectified, normally distributed values; the same every time."""
    values = np.random.default_rng(size).standard_normal((1, 64, size // 1024, 16)) + shift
    return np.maximum(values, 0).astype(np.float32)


def _measure(name: str, tensors: Sequence[Array], budget_s: float) -> CodecTime:
    chosen = codec(name)
    rows, encode_s, decode_s = [], [], []
    for tensor in tensors:
        payload = bytes(chosen.encode(tensor))
        rows.append((1.0, float(tensor.size), float(len(payload))))
        encode_s.append(seconds_of(partial(chosen.encode, tensor), budget_s)[0])
        decode_s.append(seconds_of(partial(chosen.decode, payload, tensor.shape, "float32"), budget_s)[0])
    return CodecTime(name, _rate(rows, encode_s), _rate(rows, decode_s))


def _rate(rows: Sequence[tuple[float, float, float]], seconds: Sequence[float]) -> Rate:
    """The non-negative rate whose predictions have the least sum of squared relative errors.

    Non-negative least squares in three unknowns: the best of the unconstrained optima over every subset of them that
    happens to be non-negative (the optimum is the unconstrained one of the subset of its positive coordinates).
    """
    times = np.maximum(np.array(seconds), 1e-9)
    matrix = np.array(rows) / times[:, None]
    best, least = np.array([float(np.median(times)), 0.0, 0.0]), np.inf
    for kept in (columns for count in (1, 2, 3) for columns in combinations(range(3), count)):
        found: NDArray[np.float64] = np.zeros(3)
        found[list(kept)] = np.linalg.lstsq(matrix[:, kept], np.ones(len(times)), rcond=None)[0]
        error = float(((matrix @ found - 1) ** 2).sum())
        if found.min() >= 0 and error < least:
            best, least = found, error
    return Rate(*(float(f"{figure:.4g}") for figure in best))
