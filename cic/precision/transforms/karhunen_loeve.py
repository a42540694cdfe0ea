"""The transform of a tensor from its blocks over calibration inputs: which components the answer feels, and how finely.

Let x be a block of a tensor, with covariance S over calibration inputs, and let an error e there change the model's answer by
e' G e / 2, to second order (`cic.precision.transforms.seen` says in which measure). An error that is isotropic after
multiplication with G^(1/2) spends its bits where the answer feels them; so G^(1/2) x is decorrelated (its Karhunen-Loeve
transform, the eigenvectors of G^(1/2) S G^(1/2)) and all components are rounded with one step, which at high rates is optimal
(Gersho & Gray, Vector Quantization and Signal Compression, 1992, section 8.3). A component whose deviation lies far below the
step becomes zeros, which cost nothing under its table.

How large the step is follows from the loss that is allowed. Components of variance v lose min(v, step^2 / 12) each, up to what
their neighbours take off each other, so that a tensor of n blocks loses n / 2 times their sum; this is "reverse
water-filling" (Cover & Thomas, Elements of Information Theory, 2006, theorem 10.3.3) for one step in place of one distortion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cic.codec.transform.integer_transform import MOST_LIFT, ROW_BITS, VALUE_BITS, Transform
from cic.codec.transform.rans import HIGHEST, LOWEST, Integers, tables_for

Reals = npt.NDArray[np.float64]

# How much of the mean sensitivity every direction has at least: few calibration inputs say little about the faintest.
_FAINTEST = 1e-3
# Values up to this factor beyond the largest of the calibration inputs still fit.
_ROOM = 8


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a tensor's blocks, from the strongest to the faintest.

    block: the shape of a block, of D values. centre: float64[D], what every block has. forward: float64[D, D], to components.
    backward: float64[D, D], from them. variances: float64[D], of the components, in units of twice the loss that an error
    of 1 makes. largest: the greatest magnitude of a value. blocks: how many of them a tensor has.
    """

    block: tuple[int, ...]
    centre: Reals
    forward: Reals
    backward: Reals
    variances: Reals
    largest: float
    blocks: int

    def step(self, loss: float) -> float:
        """The largest step that loses no more, by the model above; the largest that there is where all may be lost."""
        allowed, variances = 2 * loss / self.blocks, np.sort(self.variances)
        # With the k faintest components lost, the others lose step^2 / 12 each.
        lost, rest = np.concatenate([[0.0], np.cumsum(variances)]), np.arange(len(variances), 0, -1)
        squares = 12 * np.maximum(allowed - lost[:-1], 0) / rest
        fitting = np.flatnonzero(squares <= 12 * variances)
        return math.sqrt(float(squares[fitting[0]] if len(fitting) else 12 * variances[-1]))

    def count(self, loss: float) -> int:
        """About how many components have symbols other than zero at that loss."""
        return int((self.variances > self.step(loss) ** 2 / 36).sum())

    def bits(self, loss: float) -> float:
        """About how many bits a tensor takes at that loss, were its components normal and coded at their best."""
        quantum = max(self.step(loss) ** 2 / 12, np.finfo(np.float64).tiny)
        return self.blocks * float(np.log2(np.maximum(self.variances / quantum, 1)).sum()) / 2


def components_of(columns: Reals, sensitivity: Reals, block: tuple[int, ...], blocks: int) -> Components:
    """The components of a tensor.

    Args:
        columns: float64[D, m], m > 0: some of its blocks over many inputs. sensitivity: float64[D, D], symmetric: G above.
        block: the shape of a block. blocks: how many of them a tensor has.
    """
    centre = columns.mean(axis=1)
    root, inverse = _roots(sensitivity)
    centred = columns - centre[:, None]
    variances, directions = np.linalg.eigh(root @ (centred @ centred.T / columns.shape[1]) @ root)
    return Components(
        block,
        centre,
        (directions.T @ root)[::-1],
        (inverse @ directions)[:, ::-1],
        np.maximum(variances[::-1], 0),
        float(np.abs(columns).max()),
        blocks,
    )


def transform_of(components: Components, columns: Reals, step: float) -> Transform:
    """The transform with that step. columns: float64[D, m], m > 0, blocks by which its tables are made."""
    (transform,) = transforms_of(components, columns, [step])
    return transform


def transforms_of(components: Components, columns: Reals, steps: Sequence[float]) -> list[Transform]:
    """The transforms with those steps. columns: float64[D, m], m > 0, blocks by which their tables are made."""
    value_shift = _shift(components.largest * _ROOM, VALUE_BITS)
    products = components.forward @ (columns - components.centre[:, None])
    sizes = [step if step > 0 else 1.0 for step in steps]
    return [
        in_whole_numbers(
            components.block,
            components.centre,
            components.forward / size,
            components.backward * size,
            value_shift,
            products / size,
        )
        for size in sizes
    ]


def in_whole_numbers(
    block: tuple[int, ...], centre: Reals, forward: Reals, backward: Reals, value_shift: int, products: Reals
) -> Transform:
    """The transform of blocks x to symbols forward (x - centre), rounded, and back; without components that are always zero.

    forward: float64[R, D]. backward: float64[D, R]. products: float64[R, m], m > 0, forward (x - centre) of the blocks by which
    its tables are made.
    """
    symbols = np.clip(np.rint(products), LOWEST, HIGHEST).astype(np.int64)
    alive = symbols.any(axis=1)
    rows, shifts = _whole_rows(np.ldexp(forward[alive], -value_shift))
    columns_back, lifts, backward_shift = _whole_columns(backward[:, alive])
    whole_centre = np.rint(np.ldexp(centre, value_shift)).astype(np.int64)
    tables = tables_for(symbols[alive])
    return Transform(block, rows, columns_back, whole_centre, shifts, lifts, value_shift, backward_shift, tables)


def _roots(sensitivity: Reals) -> tuple[Reals, Reals]:
    """The square root of a sensitivity, and its inverse."""
    values, vectors = np.linalg.eigh(sensitivity)
    mean = float(values.mean())
    values = np.maximum(values, 0) + (_FAINTEST * mean if mean > 0 else 1.0)
    return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T


def _whole_rows(rows: Reals) -> tuple[Integers, Integers]:
    """Rows as whole numbers, each with a power of two of its own."""
    shifts = np.array([_shift(float(np.abs(row).max()), ROW_BITS) for row in rows], np.int64)
    return np.rint(np.ldexp(rows, shifts[:, None])).astype(np.int64), shifts


def _whole_columns(rows: Reals) -> tuple[Integers, Integers, int]:
    """Columns as whole numbers, each with a power of two, of which none is more than 2^`MOST_LIFT` times another."""
    shifts = np.array([_shift(float(np.abs(column).max()), ROW_BITS) for column in rows.T], np.int64)
    most = min(int(shifts.max()), int(shifts.min()) + MOST_LIFT) if len(shifts) else 0
    shifts = np.minimum(shifts, most)
    return np.rint(np.ldexp(rows, shifts)).astype(np.int64), most - shifts, most


def _shift(largest: float, bits: int) -> int:
    """The power of two that brings numbers up to this size just below 2^bits."""
    return min(max(bits - 1 - math.frexp(largest)[1], -100), 100) if largest > 0 else 0
