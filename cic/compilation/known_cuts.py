"""The cuts of a table as placements, and the table made of them again with others besides, at whatever times the graph has now.

Cuts that are known keep their ids, since their halves may have been emitted; new ones get ids of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from cic.decision.break_points import break_points, line
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut, details_of
from cic.decision.off_table.problem import codecs_of, side_of
from cic.decision.proof import StoredProof
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digests
from cic.decision.stored_graph import StoredGraph
from mincut.problem import BoolArray, IntArray, Problem

Side = tuple[BoolArray, IntArray | None]
"""bool[n], and the codec of each tensor, int64[m], or None where there are none."""


class Placed(NamedTuple):
    """A device side and the codec of each tensor. cut: of the table that is to be renewed, None if it is new."""

    on_device: BoolArray
    codec: IntArray | None
    cut: Cut | None


def known_cuts(model: SplittingModel, graph: StoredGraph, problem: Problem) -> list[Placed]:
    """The cuts of a table. Raises ArtifactError if one names a codec that its tensor does not have."""
    sides = [side_of(problem, ops) for ops in graph.cuts]
    return [Placed(side, codecs_of(graph, problem, cut, side), cut) for cut, side in zip(model.cuts, sides, strict=True)]


def with_cuts(
    model: SplittingModel,
    graph: StoredGraph,
    problem: Problem,
    found: Iterable[Side],
    *,
    proof: StoredProof,
    forbidden: Sequence[Sequence[tuple[int, int]]],
    emitted: Mapping[tuple[str, ...], str] = MappingProxyType({}),
) -> SplittingModel:
    """A table with the cuts of `model` and those that were found.

    graph, problem: with the times and sizes that all of them are to have. proof, forbidden: of the new table; that for streams
    is left out. emitted: ids of cuts in a bundle by their device ops, which new cuts get if they are those, and do not get
    otherwise.
    """
    placed = {_key(graph, problem, each.on_device, each.codec): each for each in known_cuts(model, graph, problem)}
    for on_device, codec in found:
        placed.setdefault(_key(graph, problem, on_device, codec), Placed(on_device, codec, None))
    ordered = [placed[key] for key in sorted(placed, key=lambda key: (int(placed[key].on_device.sum()), *key))]
    renewed: StoredGraph = graph.replaced(
        cuts=tuple(tuple(np.flatnonzero(each.on_device).tolist()) for each in ordered),
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
        for index, (cut_id, each) in enumerate(zip(_ids(ordered, graph, emitted), ordered, strict=True))
    )
    rtt_s, ratio = model.default_rtt_s, model.default_downlink_ratio
    points, best = break_points([line(cut.row, rtt_s, ratio, 1.0, 1.0) for cut in cuts], model.box.uplink_bps)
    table = model.table.replaced(cuts=cuts, break_points=tuple(points), best_between=tuple(best), proof=proof, stream=None)
    stored = model.stored_codecs
    kept = {digest: stored[digest] for digest in sorted(needed_digests(table, renewed)) if digest in stored}
    return SplittingModel(table, lambda: renewed, lambda: kept)


def _key(graph: StoredGraph, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> tuple[bytes, tuple[str, ...]]:
    return on_device.tobytes(), _codec_names(graph, problem, on_device, codec)


def _codec_names(graph: StoredGraph, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> tuple[str, ...]:
    """The codec of each crossing tensor; empty if tensors have no codecs."""
    if codec is None:
        return ()
    read = graph.read
    return tuple(read[tensor].codecs[codec[tensor]] for tensor in np.flatnonzero(problem.crossing(on_device)).tolist())


def _ids(placed: Sequence[Placed], graph: StoredGraph, emitted: Mapping[tuple[str, ...], str]) -> list[str]:
    """Known ids, and new ones beyond them: an id is never given to another device side."""
    id_of = {each.on_device.tobytes(): each.cut.id for each in placed if each.cut is not None}
    taken = {*id_of.values(), *emitted.values()}
    free = (name for number in range(len(placed) + len(taken) + 1) if (name := f"cut-{number:02d}") not in taken)
    for each in placed:
        side = each.on_device
        if side.tobytes() not in id_of:
            device_ops, _ = graph.names(np.flatnonzero(side).tolist())
            usual = DEVICE_ONLY if side.all() else SERVER_ONLY if not side.any() else emitted.get(device_ops)
            id_of[side.tobytes()] = usual or next(free)
    return [str(id_of[each.on_device.tobytes()]) for each in placed]
