"""Forms that can be the cheapest of their tensor somewhere in the bounds; rules need to look at no others.

Rule. A form that costs at least as much as another one of its tensor everywhere in the bounds is left out (of two that cost
the same everywhere, the later one).

Proof. What a crossing tensor costs is the minimum over its forms, and a form that is left out is never below the other. Being
left out for another one is a strict order, so a tensor keeps at least one form, and each form left out has one that is kept
in its stead. So every placement costs what it did, everywhere in the bounds, and a rule that is exact for the problem without
them is exact for the problem with them. QED

What a form costs is linear in the prices, so "everywhere in the bounds" means at their corners.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compress.bounds import Bounds, Sent
from mincut.codecs import Codecs
from mincut.problem import BoolArray, Problem


def with_useful_forms(problem: Problem, bounds: Bounds) -> Problem:
    """The same problem with the forms that are left; its forms are numbered anew, its tensors are not."""
    forms = problem.codecs
    if forms is None or not len(forms.wire_bytes):
        return problem
    kept = ~_left_out(forms, bounds)
    tensor = np.repeat(np.arange(problem.tensor_count), forms.counts)
    start = np.concatenate(([0], np.cumsum(np.bincount(tensor[kept], minlength=problem.tensor_count))))
    left = Codecs(start, forms.wire_bytes[kept], forms.device_ns[kept], forms.server_ns[kept])
    return replace(problem, codecs=left, wire_bytes=left.first_bytes)


def _left_out(forms: Codecs, bounds: Bounds) -> BoolArray:
    """bool[*], for each form of each tensor."""
    counts = forms.counts
    # Every form beside every form of its tensor, of which `first` is the first.
    beside, first = np.repeat(counts, counts), np.repeat(forms.start[:-1], counts)
    form = np.repeat(np.arange(len(beside)), beside)
    other = np.arange(len(form)) + np.repeat(first - (np.cumsum(beside) - beside), beside)
    never_dearer = np.ones(len(form), dtype=np.bool_)
    cheaper = other < form
    for costs in bounds.sending_costs(Sent(forms.wire_bytes, forms.device_ns, forms.server_ns)):
        never_dearer &= np.asarray(costs[other] <= costs[form], dtype=np.bool_)
        cheaper |= np.asarray(costs[other] < costs[form], dtype=np.bool_)
    left_out = np.zeros(len(beside), dtype=np.bool_)
    left_out[form[never_dearer & cheaper]] = True
    return left_out
