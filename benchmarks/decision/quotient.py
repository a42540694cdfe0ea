"""Merge ops that no optimal cut of the box ever separates.

Rule. Given placements that contain an optimal one for every condition in a box (an `Envelope`), ops that are on the same
side in each of them form one op.

Proof. For any condition in the box one of the placements is optimal, and it keeps every group together. QED

k placements leave at most 2^k groups, and k + 1 when they are nested, which they are when the device is never faster
(Gallo, Grigoriadis & Tarjan 1989). Unlike the other rules this one holds for these op costs only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress.reduction import Reduction, contract
from mincut.problem import BoolArray, Problem


def quotient(problem: Problem, placements: Sequence[BoolArray]) -> Reduction:
    """The smallest problem that still has all the given placements (bool[n] each, at least one)."""
    sides = np.stack(placements, axis=1)
    _, label = np.unique(sides, axis=0, return_inverse=True)
    return contract(problem, np.asarray(label, dtype=np.int64).reshape(-1))
