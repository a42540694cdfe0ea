"""From a stored graph back to numbers: the problem it was compiled from, and which codecs its cuts use. Needs numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cic.codec.registry import is_lossless, stage_of
from cic.decision.cut import Cut
from cic.decision.cut_table import CutTable
from cic.decision.stored_graph import StoredGraph
from cic.errors import ArtifactError, CodecError
from mincut.codecs import without
from mincut.errors import MincutError
from mincut.problem import BoolArray, IntArray, Problem, make_problem


def stored_problem(graph: StoredGraph) -> Problem:
    """The problem that a splitting model was compiled from; op i of it is op i of the graph."""
    download = [0] * len(graph.ops)
    for tensor in graph.tensors:
        if tensor.is_output and tensor.producer >= 0:
            download[tensor.producer] += tensor.wire_bytes
    forms = [[form.features for form in tensor.forms] or [(tensor.wire_bytes, 0, 0)] for tensor in graph.tensors]
    return make_problem(
        [op.device_ns for op in graph.ops],
        [op.server_ns for op in graph.ops],
        [(tensor.producer, tensor.consumers, tensor.wire_bytes) for tensor in graph.tensors],
        download_bytes=download,
        pinned=[op.pinned for op in graph.ops],
        may_cross=[tensor.may_cross for tensor in graph.tensors],
        codecs=forms if graph.has_codecs else None,
    )


def stored_alternatives(graph: StoredGraph, problem: Problem) -> list[Problem]:
    """The alternatives of which a placement must be allowed by one (see `cic.precision.target_search`); none if nothing is
    forbidden.

    Raises:
        ArtifactError: they forbid the first form of a tensor.
    """
    return _each_without(problem, graph.alternatives)


def shown_alternatives(table: CutTable, graph: StoredGraph, problem: Problem) -> list[Problem]:
    """The alternatives for a placement that need not be in the table: those of `shown_forbidden`.

    Raises:
        ArtifactError: as `shown_forbidden`, or they forbid the first form of a tensor.
    """
    return _each_without(problem, shown_forbidden(table, graph, problem))


def shown_forbidden(table: CutTable, graph: StoredGraph, problem: Problem) -> Sequence[Sequence[tuple[int, int]]]:
    """What each alternative forbids for a placement that need not be in the table, as pairs of a tensor and one of its forms.

    Where an accuracy was asked for, it may lose no more than some cut of the table, since of other losses nobody knows what
    they leave; else those of the graph.

    Raises:
        ArtifactError: a form or a cut names a codec that does not exist.
    """
    asked = table.information.codecs
    if problem.codecs is None or asked is None or asked.accuracy_target is None:
        return graph.alternatives
    lossy = _lossy_stages(graph)
    lost: set[frozenset[tuple[int, str]]] = {frozenset()}
    for cut, ops in zip(table.cuts, graph.cuts, strict=True):
        on_device = side_of(problem, ops)
        used, crossing = codecs_of(graph, problem, cut, on_device), np.flatnonzero(problem.crossing(on_device))
        assert used is not None
        pairs = ((tensor, int(used[tensor])) for tensor in crossing.tolist())
        lost.add(frozenset((pair[0], lossy[pair]) for pair in pairs if pair in lossy))
    largest = [shown for shown in lost if not any(shown < other for other in lost)]
    return [[pair for pair, stage in lossy.items() if (pair[0], stage) not in shown] for shown in largest]


def _each_without(problem: Problem, alternatives: Sequence[Sequence[tuple[int, int]]]) -> list[Problem]:
    if problem.codecs is None:
        return []
    try:
        return [replace(problem, codecs=without(problem.codecs, forbidden)) for forbidden in alternatives]
    except MincutError as error:
        raise ArtifactError(f"a tensor has no form that loses nothing: {error}; compile again") from error


def _lossy_stages(graph: StoredGraph) -> dict[tuple[int, int], str]:
    """What is lost under each lossy form, by the number of the tensor and that of the form."""
    numbered = [(tensor, form, name) for tensor, each in enumerate(graph.read) for form, name in enumerate(each.codecs)]
    try:
        return {(tensor, form): stage_of(name) for tensor, form, name in numbered if not is_lossless(name)}
    except CodecError as error:
        raise ArtifactError(f"the graph names a codec: {error}; compile again") from error


def side_of(problem: Problem, ops: Sequence[int]) -> BoolArray:
    """bool[n]: true for these ops."""
    on_device = np.zeros(problem.op_count, dtype=np.bool_)
    on_device[list(ops)] = True
    return on_device


def codecs_of(graph: StoredGraph, problem: Problem, cut: Cut, on_device: BoolArray) -> IntArray | None:
    """Which of its codecs each tensor crosses under in a cut: int64[m]; None where tensors have no codecs.

    Raises:
        ArtifactError: the cut names a codec that its tensor does not have.
    """
    if problem.codecs is None:
        if any(name != "raw" for name in cut.codecs):
            raise ArtifactError(f"cut {cut.label} names codecs, its tensors have none")
        return None
    tensors, chosen = graph.read, np.zeros(problem.tensor_count, dtype=np.int64)
    crossing = np.flatnonzero(problem.crossing(on_device)).tolist()
    used: Sequence[str] = cut.codecs or ["raw"] * len(crossing)
    if len(used) != len(crossing):
        raise ArtifactError(f"cut {cut.label} names {len(used)} codecs for {len(crossing)} crossing tensors")
    for tensor, name in zip(crossing, used, strict=True):
        known = tensors[tensor].codecs
        if name not in known:
            raise ArtifactError(f"cut {cut.label} sends {tensors[tensor].name} under {name!r}, it has {', '.join(known)}")
        chosen[tensor] = known.index(name)
    return chosen


def is_allowed(graph: StoredGraph, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> bool:
    """Is a cut's choice of codecs one that some alternative allows?"""
    if codec is None or not graph.alternatives:
        return True
    used = {(int(tensor), int(codec[tensor])) for tensor in np.flatnonzero(problem.crossing(on_device))}
    return any(used.isdisjoint(forbidden) for forbidden in graph.alternatives)
