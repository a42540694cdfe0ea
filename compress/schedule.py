"""Which rules run, in which order, until none of them finds anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from compress.bounds import Bounds
from compress.reduction import Reduction, contract, identity
from compress.rules import block, expand, heavy, shrink
from mincut.network import smallest_device_side
from mincut.problem import IntArray, Problem

Rule = Callable[[Problem, Bounds], IntArray]

# Cheap and far-reaching ones first; `block` solves a small minimum cut per region.
RULES: Mapping[str, Rule] = MappingProxyType(
    {"expand": expand.label, "shrink": shrink.label, "heavy": heavy.label, "block": block.label}
)


@dataclass(frozen=True, eq=False)
class Compression:
    """The reduction reached, and how many ops each rule merged away."""

    reduction: Reduction
    merged: Mapping[str, int]


def compress(problem: Problem, bounds: Bounds, *, rules: Mapping[str, Rule] = RULES) -> Compression:
    """Apply the rules to a fixpoint.

    Exact: each rule keeps an optimal placement for every price in the bounds, so their composition does. The rules compare
    bytes, which says nothing yet about tensors that may cross under several codecs: such a problem stays as it is.

    Raises:
        InfeasibleError: pins and tensors that may not cross contradict each other, so that there is nothing to keep.
    """
    smallest_device_side(problem)
    merged = dict.fromkeys(rules, 0)
    if problem.codecs is not None:
        return Compression(identity(problem), MappingProxyType(merged))
    reduction = contract(problem, np.arange(problem.op_count))  # tensors that always cross together become one
    changed = True
    while changed:
        changed = False
        for name, rule in rules.items():
            label = rule(reduction.problem, bounds)
            fewer = len(label) - int(np.count_nonzero(np.bincount(label)))
            if fewer:
                reduction = reduction.then(contract(reduction.problem, label))
                merged[name] += fewer
                changed = True
    return Compression(reduction, MappingProxyType(merged))
