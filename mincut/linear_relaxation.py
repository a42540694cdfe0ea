"""Multipliers for bounded rows, and fractional placements, from the linear relaxation. Needs scipy, whose HiGHS solves it.

Without bounds the relaxation is the dual of a maximum flow, so its corners are placements. With bounds its optimum is that of
the Lagrangian dual (Geoffrion 1974: both are the least cost over the convex hull of the placements, cut by the bounds), and
the duals of the bounds are the best multipliers. Everything here is in floating point and only guides `mincut.bounded`: a
guess that is off costs time, and no proof rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array

from mincut.bound_tree import Bound
from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, BoolArray, Problem
from mincut.rows import Row

FloatArray = npt.NDArray[np.float64]


class Relaxed(NamedTuple):
    """multipliers: float64[k], of the bounds, per unit of cost if `feasible`, else of what is exceeded.

    cost: of the relaxation; 0 unless feasible. on_device: float64[n], 0 to 1. forms: float64[F], how much each form is used.
    """

    feasible: bool
    multipliers: FloatArray
    cost: float
    on_device: FloatArray
    forms: FloatArray


class LinearRelaxation:
    """The relaxation of one problem with bounds: variables are ops (1 on the device), forms, and offloading at all."""

    def __init__(self, problem: Problem, cost: Row, bounds: Sequence[Bound]) -> None:
        self._ops, self._forms = problem.op_count, len(problem.forms.wire_bytes)
        self._structure, self._least = _structure(problem)
        objective, constant = _linear(cost)
        self._unit = float(np.abs(objective).max(initial=0)) or 1.0
        self._objective, self._constant = objective / self._unit, constant
        rows, most, scales = [], [], []
        for row, limit in bounds:
            entries, fixed = _linear(row)
            scale = float(np.abs(entries).max(initial=0)) or 1.0
            rows.append(entries / scale)
            most.append((limit - fixed) / scale)
            scales.append(scale)
        self._rows = np.array(rows).reshape(len(bounds), len(objective))
        self._most, self._scales = np.array(most), np.array(scales)
        self._matrix = _stacked(self._structure, csr_array(self._rows))

    def solve(self, pinned: npt.NDArray[np.int8], allowed: BoolArray) -> Relaxed:
        """The relaxation with ops pinned, int8[n], and only some forms allowed, bool[F]."""
        highest = np.concatenate((pinned != ON_SERVER, allowed, [True])).astype(np.float64)
        lowest = np.concatenate((pinned == ON_DEVICE, np.zeros(self._forms + 1)))
        ranges = np.stack((lowest, highest), axis=1)
        found = linprog(
            self._objective,
            A_ub=self._matrix,
            b_ub=np.concatenate((self._least, self._most)),
            bounds=ranges,
            method="highs",
        )
        feasible = found.status == 0
        if not feasible:
            found = self._least_excess(ranges)
        if found.x is None:
            # Not even without the bounds.
            return Relaxed(False, np.zeros(len(self._most)), 0.0, lowest[: self._ops], lowest[self._ops : -1])
        multipliers = np.maximum(-found.ineqlin.marginals[len(self._least) :], 0) / self._scales
        forms = found.x[self._ops : self._ops + self._forms]
        if not feasible:
            return Relaxed(False, multipliers, 0.0, found.x[: self._ops], forms)
        return Relaxed(True, multipliers * self._unit, found.fun * self._unit + self._constant, found.x[: self._ops], forms)

    def _least_excess(self, ranges: FloatArray):  # type: ignore[no-untyped-def]
        """By how little the bounds are exceeded, each in units of its largest entry: its multipliers show that it must be."""
        count = len(self._most)
        over = coo_array((np.full(count, -1.0), (np.arange(count), np.arange(count))), shape=(count, count))
        zeros = csr_array((len(self._least), count))
        matrix = _beside(self._matrix, _stacked(zeros, csr_array(over)))
        return linprog(
            np.concatenate((np.zeros(len(self._objective)), np.ones(count))),
            A_ub=matrix,
            b_ub=np.concatenate((self._least, self._most)),
            bounds=np.concatenate((ranges, np.tile([0.0, np.inf], (count, 1)))),
            method="highs",
        )


def _linear(row: Row) -> tuple[FloatArray, float]:
    """Coefficients of the variables, and what is paid with all of them at 0: every op on the server, nothing crossing."""
    change = row.on_device.astype(np.float64) - row.on_server
    return np.concatenate((change, row.crossing, [row.once])).astype(np.float64), float(row.on_server.sum(dtype=object))


def _structure(problem: Problem) -> tuple[csr_array, FloatArray]:
    """matrix @ variables <= least: closure, crossing, and offloading at all.

    A tensor with readers r and producer p: x_r <= x_p, and x_p - x_r <= how much its forms are used together.
    """
    ops, forms = problem.op_count, problem.forms
    counts = np.diff(problem.consumer_start)
    tensor, reader = np.repeat(np.arange(problem.tensor_count), counts), problem.consumers
    producer = problem.producer[tensor]
    from_op = producer != MODEL_INPUT
    read = np.arange(len(reader))
    entries = [(read, reader, -1.0), (read[from_op], producer[from_op], 1.0)]
    least = np.where(from_op, 0.0, -1.0)
    sends = np.flatnonzero(problem.may_cross[tensor])
    form_counts = forms.counts[tensor[sends]]
    form = np.arange(form_counts.sum()) - np.repeat(np.cumsum(form_counts) - form_counts, form_counts)
    entries.append((np.repeat(sends, form_counts), ops + np.repeat(forms.start[tensor[sends]], form_counts) + form, -1.0))
    back = len(reader) + np.arange(int(from_op.sum()))
    entries += [(back, reader[from_op], 1.0), (back, producer[from_op], -1.0)]
    # Whatever is on the server, some op that makes nothing for others is.
    ends = np.setdiff1d(np.arange(ops), problem.producer)
    last = len(reader) + len(back) + np.arange(len(ends))
    entries += [(last, ends, -1.0), (last, np.full(len(ends), ops + len(forms.wire_bytes)), -1.0)]
    least = np.concatenate((least, np.zeros(len(back)), np.full(len(ends), -1.0)))
    rows, columns = (np.concatenate([entry[place] for entry in entries]) for place in (0, 1))
    values = np.concatenate([np.full(len(entry[0]), entry[2]) for entry in entries])
    shape = (len(least), ops + len(forms.wire_bytes) + 1)
    return csr_array(coo_array((values, (rows, columns)), shape=shape)), least


def _stacked(upper: csr_array, lower: csr_array) -> csr_array:
    from scipy.sparse import vstack

    return csr_array(vstack((upper, lower)))


def _beside(left: csr_array, right: csr_array) -> csr_array:
    from scipy.sparse import hstack

    return csr_array(hstack((left, right)))
