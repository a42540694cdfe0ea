"""Transforms made from calibration inputs: which components of a tensor matter to the answer, and how finely. Needs numpy.

Let x be the channels of a tensor at one position, with covariance S over calibration inputs, and let an error e there change
the model's answer by e' G e, to second order. An error that is isotropic after multiplication with G^(1/2) spends its bits
where the answer feels them; so G^(1/2) x is decorrelated (its Karhunen-Loève transform, the eigenvectors of
G^(1/2) S G^(1/2)) and all components are rounded with one step, which at high rates is optimal (Gersho & Gray, Vector
Quantization and Signal Compression, 1992, section 8.3): a component whose deviation lies far below the step becomes zeros,
which cost nothing under its table.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cic.codec.transform.integer_transform import BACKWARD_BITS, FORWARD_BITS, VALUE_BITS, Transform
from cic.codec.transform.rans import HIGHEST, LOWEST, Tables, tables_for

Reals = npt.NDArray[np.float64]

# How much of the mean sensitivity every direction has at least: few calibration inputs say little about the faintest.
_FAINTEST = 1e-3
# Values up to this factor beyond the largest of the calibration inputs still fit.
_ROOM = 8


def transform_for(columns: Reals, sensitivity: Reals, step: float, axis: int) -> Transform:
    """The transform of a tensor.

    Args:
        columns: float64[C, n], n > 0: its channels at many positions of many inputs.
        sensitivity: float64[C, C], symmetric: G above, up to a factor.
        step: of the quantiser, as a share of the largest deviation of a component.
        axis: of the channels in the tensor.
    """
    centre = columns.mean(axis=1)
    root, inverse = _roots(sensitivity)
    centred = columns - centre[:, None]
    variances, directions = np.linalg.eigh(root @ (centred @ centred.T / columns.shape[1]) @ root)
    size = step * math.sqrt(max(float(variances[-1]), 0.0)) or 1.0
    # From the strongest component to the faintest.
    forward = (directions.T @ root / size)[::-1]
    symbols = np.clip(np.rint(forward @ centred), LOWEST, HIGHEST).astype(np.int64)
    alive = symbols.any(axis=1)
    backward = (inverse @ directions * size)[:, ::-1]
    return _whole(columns, forward[alive], backward[:, alive], centre, axis, tables_for(symbols[alive]))


def _roots(sensitivity: Reals) -> tuple[Reals, Reals]:
    """The square root of a sensitivity, and its inverse."""
    values, vectors = np.linalg.eigh(sensitivity)
    mean = float(values.mean())
    values = np.maximum(values, 0) + (_FAINTEST * mean if mean > 0 else 1.0)
    return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T


def _whole(columns: Reals, forward: Reals, backward: Reals, centre: Reals, axis: int, tables: Tables) -> Transform:
    """Real rows as the whole numbers that `Transform` computes with."""
    value_shift = _shift(float(np.abs(columns).max()) * _ROOM, VALUE_BITS)
    per_whole = np.ldexp(forward, -value_shift)
    forward_shift, backward_shift = _shift(_largest(per_whole), FORWARD_BITS), _shift(_largest(backward), BACKWARD_BITS)
    return Transform(
        axis,
        np.rint(np.ldexp(per_whole, forward_shift)).astype(np.int64),
        np.rint(np.ldexp(backward, backward_shift)).astype(np.int64),
        np.rint(np.ldexp(centre, value_shift)).astype(np.int64),
        value_shift,
        forward_shift,
        backward_shift,
        tables,
    )


def _largest(numbers: Reals) -> float:
    return float(np.abs(numbers).max()) if numbers.size else 0.0


def _shift(largest: float, bits: int) -> int:
    """The power of two that brings numbers up to this size just below 2^bits."""
    return min(max(bits - 1 - math.frexp(largest)[1], -60), 60) if largest > 0 else 0
