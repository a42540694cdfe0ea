"""What a machine's figures say little about: ops and types of a graph that its fit has never seen."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

from cic.cost.families import families_of, multiplies
from cic.cost.machine import Machine
from cic.cost.roofline import predict
from cic.graph import Graph, Op

# Ops that are less of the whole time than this need no word.
NEGLIGIBLE_SHARE = 0.002
# They are priced alike whatever was fitted: figures of one pass over memory hold for each of them.
ALWAYS_KNOWN = frozenset(["one pass", "layout"])


def doubts(graph: Graph, machine: Machine, runtime: str = "") -> tuple[str, ...]:
    """One sentence for each reason to doubt the prices of `graph` on `machine`, the gravest first; empty if there is none.

    runtime: what runs the model, "torch" or "onnxruntime"; compared with what the figures were measured with.
    """
    seconds = {op.name: predict(op, machine) for op in graph.ops}
    total = fsum(seconds.values()) or 1.0
    found = [*_lacking(graph, machine), *_unseen_types(graph, machine), *_unseen_families(graph, machine)]
    named = sorted(((_share(ops, seconds, total), text) for text, ops in found), reverse=True)
    sentences = [f"{text} ({share:.1%} of its time)" for share, text in named if share >= NEGLIGIBLE_SHARE]
    if runtime and machine.runtime and runtime != machine.runtime:
        sentences.append(f"the figures of {machine.name} were measured with {machine.runtime}, this model runs with {runtime}")
    return tuple(sentences)


def _lacking(graph: Graph, machine: Machine) -> list[tuple[str, list[Op]]]:
    by_type = _products_by_type(graph, machine.lacks)
    return [
        (f"{machine.name} has no {name} arithmetic: products in {name} are priced by the slow conversion of each number", ops)
        for name, ops in by_type.items()
    ]


def _unseen_types(graph: Graph, machine: Machine) -> list[tuple[str, list[Op]]]:
    known = set(machine.fitted_types or ("float32",))
    types = {op.arithmetic for op in graph.ops} - known - set(machine.lacks)
    return [
        (f"{machine.name} was not fitted to products in {name}, which are priced by a usual rate", ops)
        for name, ops in _products_by_type(graph, types).items()
    ]


def _unseen_families(graph: Graph, machine: Machine) -> list[tuple[str, list[Op]]]:
    """Own figures were fitted to nothing, so nobody knows what they leave out."""
    if not machine.fitted_families:
        return []
    known = ALWAYS_KNOWN.union(machine.fitted_families)
    ops_of: dict[str, list[Op]] = {}
    for op in graph.ops:
        for family in families_of(op.kinds):
            if family not in known:
                ops_of.setdefault(family, []).append(op)
    return [(f"{machine.name} was not fitted to ops of the kind {family}", ops) for family, ops in ops_of.items()]


def _products_by_type(graph: Graph, names: Iterable[str]) -> dict[str, list[Op]]:
    wanted = set(names)
    found: dict[str, list[Op]] = {}
    for op in graph.ops:
        if op.arithmetic in wanted and multiplies(op.kinds):
            found.setdefault(op.arithmetic, []).append(op)
    return found


def _share(ops: list[Op], seconds: dict[str, float], total: float) -> float:
    return fsum(seconds[op.name] for op in ops) / total
