"""A splitting model for the same graph at other op times: its table is found anew, and proved as compiling proves it.

Nothing is traced, measured or run. The cuts that are known keep their ids, whether they can still be optimal or not, since
their halves may have been emitted; cuts that can be optimal now come in besides, under ids of their own. Where an accuracy was
asked for, a new cut loses no more than some known one, as it was never run on calibration inputs
(`cic.decision.off_table.problem.shown_forbidden`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numba  # noqa: F401 - the solver needs it, and its first use would say so late
import numpy as np

from cic.compilation.assembly import stored_proof
from cic.compilation.lowering import bounds
from cic.decision.break_points import break_points, line
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut, details_of
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import codecs_of, shown_forbidden, side_of, stored_problem
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digests
from cic.decision.stored_graph import StoredGraph
from cic.errors import CompileError
from cic.precision.table_search import find_table
from cic.progress import Tell, teller
from compress.errors import CompressError
from mincut.codecs import without
from mincut.errors import MincutError
from mincut.lower_envelope import Envelope
from mincut.oracle import Limits
from mincut.problem import BoolArray, IntArray, Problem


def reproved(
    model: SplittingModel,
    graph: StoredGraph,
    *,
    emitted: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    most_solves: int = 20_000,
    progress: Tell | None = None,
) -> SplittingModel:
    """The splitting model of `graph`: the one of `model` with other times, of ops or of forms.

    emitted: ids of cuts in a bundle by their device ops, which new cuts get if they are those, and do not get otherwise.

    Raises:
        CompileError: the times make no problem that can be solved.
        ArtifactError: the graph does not fit the table of `model`.
    """
    tell = teller(progress)
    try:
        problem = stored_problem(graph)
        forbidden = [sorted(pairs) for pairs in shown_forbidden(model.table, graph, problem)]
        found = _envelope(model, problem, forbidden, limit_rows(graph), most_solves, tell)
    except (MincutError, CompressError) as error:
        raise CompileError(f"the corrected times of {model.name} give no table: {error}") from error
    known = _known(model, graph, problem)
    placed = {_key(graph, problem, each.on_device, each.codec): each for each in known}
    for on_device, codec in zip(found.placements, found.codecs, strict=True):
        placed.setdefault(_key(graph, problem, on_device, codec), _Placed(on_device, codec, None, None))
    order = sorted(placed, key=lambda key: (int(placed[key].on_device.sum()), *key))
    ids = _ids([placed[key] for key in order], graph, emitted)
    return _assembled(model, graph, problem, found, [placed[key] for key in order], ids, forbidden)


class _Placed(NamedTuple):
    """A device side and the codec of each tensor. cut: of the table that is to be renewed, None if it is new."""

    on_device: BoolArray
    codec: IntArray | None
    cut_id: str | None
    cut: Cut | None


def _envelope(
    model: SplittingModel,
    problem: Problem,
    forbidden: Sequence[Sequence[tuple[int, int]]],
    limits: Limits | None,
    most_solves: int,
    tell: Tell,
) -> Envelope:
    """Every placement that can be optimal in the box of the model, with its proof."""
    within = bounds(model.box, model.information.uncertainty)
    parts = []
    if problem.codecs is not None and any(forbidden):
        parts = [replace(problem, codecs=without(problem.codecs, pairs)) for pairs in forbidden]
    found, _ = find_table(problem, parts, within, limits=limits, most_solves=most_solves, tell=tell)
    return found


def _known(model: SplittingModel, graph: StoredGraph, problem: Problem) -> list[_Placed]:
    sides = [side_of(problem, ops) for ops in graph.cuts]
    return [
        _Placed(side, codecs_of(graph, problem, cut, side), cut.id, cut) for cut, side in zip(model.cuts, sides, strict=True)
    ]


def _key(graph: StoredGraph, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> tuple[bytes, tuple[str, ...]]:
    return on_device.tobytes(), _codec_names(graph, problem, on_device, codec)


def _codec_names(graph: StoredGraph, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> tuple[str, ...]:
    """The codec of each crossing tensor; empty if tensors have no codecs."""
    if codec is None:
        return ()
    read = graph.read
    return tuple(read[tensor].codecs[codec[tensor]] for tensor in np.flatnonzero(problem.crossing(on_device)).tolist())


def _ids(placed: Sequence[_Placed], graph: StoredGraph, emitted: Mapping[tuple[str, ...], str]) -> list[str]:
    """Known ids, and new ones beyond them: an id is never given to another device side."""
    id_of = {each.on_device.tobytes(): each.cut_id for each in placed if each.cut_id is not None}
    taken = {*id_of.values(), *emitted.values()}
    free = (name for number in range(len(placed) + len(taken) + 1) if (name := f"cut-{number:02d}") not in taken)
    for each in placed:
        side = each.on_device
        if side.tobytes() not in id_of:
            device_ops, _ = graph.names(np.flatnonzero(side).tolist())
            usual = DEVICE_ONLY if side.all() else SERVER_ONLY if not side.any() else emitted.get(device_ops)
            id_of[side.tobytes()] = usual or next(free)
    return [str(id_of[each.on_device.tobytes()]) for each in placed]


def _assembled(
    model: SplittingModel,
    graph: StoredGraph,
    problem: Problem,
    found: Envelope,
    placed: Sequence[_Placed],
    ids: Sequence[str],
    forbidden: Sequence[Sequence[tuple[int, int]]],
) -> SplittingModel:
    renewed: StoredGraph = graph.replaced(
        cuts=tuple(tuple(np.flatnonzero(each.on_device).tolist()) for each in placed),
        alternatives=tuple(map(tuple, forbidden)) if any(forbidden) else (),
    )
    cuts = tuple(
        Cut(
            cut_id,
            problem.features(each.on_device, each.codec),
            details_of(lambda: renewed, index),
            _codec_names(graph, problem, each.on_device, each.codec),
            None if each.cut is None else each.cut.accuracy,
        )
        for index, (cut_id, each) in enumerate(zip(ids, placed, strict=True))
    )
    rtt_s, ratio = model.default_rtt_s, model.default_downlink_ratio
    points, best = break_points([line(cut.row, rtt_s, ratio, 1.0, 1.0) for cut in cuts], model.box.uplink_bps)
    table = model.table.replaced(cuts=cuts, break_points=tuple(points), best_between=tuple(best), proof=stored_proof(found))
    stored = model.stored_codecs
    kept = {digest: stored[digest] for digest in sorted(needed_digests(table, renewed)) if digest in stored}
    return SplittingModel(table, lambda: renewed, lambda: kept)
