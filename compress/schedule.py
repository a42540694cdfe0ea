"""Which rules run, in which order, until none of them finds anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from compress.bounds import Bounds
from compress.errors import NotExactError
from compress.reduction import Reduction, contract
from compress.rules import block, expand, heavy, shrink
from compress.useful_forms import with_useful_forms
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

    Exact: each rule keeps an optimal placement for every price in the bounds, so their composition does.

    Raises:
        InfeasibleError: pins and tensors that may not cross contradict each other, so that there is nothing to keep.
        NotExactError: naming the rule, if it has merged what depends on each other in a circle: a bug in the rule.
    """
    smallest_device_side(problem)
    merged = dict.fromkeys(rules, 0)
    # Rules look at the forms that are of use somewhere in the bounds; tensors that always cross together become one.
    reduction = contract(with_useful_forms(problem, bounds), np.arange(problem.op_count))
    small, member_of = reduction.problem, reduction.member_of
    changed = True
    while changed:
        changed = False
        for name, rule in rules.items():
            label = rule(small, bounds)
            fewer = len(label) - int(np.count_nonzero(np.bincount(label)))
            if fewer:
                step = _contract_for(name, small, label)
                small, member_of = step.problem, step.member_of[member_of]
                merged[name] += fewer
                changed = True
    # With codecs, the groups found but every form; without any, no tensor has a choice of them.
    whole = Reduction(small, member_of, reduction.form_of) if problem.codecs is None else contract(problem, member_of)
    return Compression(whole, MappingProxyType(merged))


def compress_together(
    problem: Problem, alternatives: Sequence[Problem], bounds: Bounds, *, rules: Mapping[str, Rule] = RULES
) -> tuple[Compression, list[Problem]]:
    """One reduction that is exact for each of several problems that differ in what their forms cost, and all of them reduced.

    Groups are what every problem's own compression has together. Proof: each problem then keeps apart what it would have
    merged at most, and finer groups than exact ones are exact. They do not depend on each other in a circle: where one group
    reads from another, its place in the order of every compression is no earlier, and in one of them later. QED

    Args:
        problem: whose reduction is wanted. alternatives: problems like it that forbid some of its forms
            (`mincut.codecs.without`), of which a placement must be allowed by one; if there are any, `problem` itself, which
            forbids nothing, need not be kept exact.

    Returns:
        The compression, which counts for each rule the fewest ops that it merged in a problem; and the alternatives as they
        become.

    Raises:
        As `compress`.
    """
    if not alternatives:
        return compress(problem, bounds, rules=rules), []
    found = [compress(each, bounds, rules=rules) for each in alternatives]
    _, label = np.unique(np.stack([each.reduction.member_of for each in found]), axis=1, return_inverse=True)
    together = np.asarray(label, dtype=np.int64).reshape(-1)
    merged = {name: min(each.merged[name] for each in found) for name in rules}
    return (
        Compression(contract(problem, together), MappingProxyType(merged)),
        [contract(each, together).problem for each in alternatives],
    )


def _contract_for(name: str, problem: Problem, label: IntArray) -> Reduction:
    try:
        return contract(problem, label)
    except NotExactError as error:
        raise NotExactError(f"the rule {name!r} is not exact: {error}; please report this as a bug") from error
