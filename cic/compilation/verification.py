"""`verify`: check a `.cic` file against itself, believing neither the compiler that wrote it nor the solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numba  # noqa: F401 - the solver needs it, and its first use would say so late
import numpy as np

from cic.compilation.lowering import price_box
from cic.decision.break_points import break_points, line
from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import (
    codecs_of,
    is_allowed,
    shown_alternatives,
    side_of,
    stored_alternatives,
    stored_problem,
)
from cic.decision.proof import NEGLIGIBLE_GAP
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digest
from cic.decision.stored_graph import StoredGraph
from cic.errors import ArtifactError, CodecError
from cic.progress import Progress, Tell, teller
from mincut.errors import MincutError
from mincut.lower_envelope import DOWNLOAD, UPLOAD, envelope_cone
from mincut.oracle import all_prices
from mincut.problem import BoolArray, Features, IntArray, Problem
from mincut.proof import Proof, prove
from mincut.stage_front import StageBox, stage_front


@dataclass(frozen=True)
class Verification:
    """What was found true.

    cuts: all allowed, with features as stored. minimum_cuts: certified, one per ray of the envelope.
    gap: no cut is faster than the table's best anywhere in the box by more than this, relative.
    """

    cuts: int
    minimum_cuts: int
    gap: float


def verify(model: SplittingModel, *, progress: Tell | None = None) -> Verification:
    """Recount every cut from the ops and tensors, recompute the break points, and prove that no cut is missing.

    All that a decision uses is checked: cuts and their ids, break points, defaults, box, the proof that stands in the file, and
    that the numbers which its codecs are made from are stored and fit their tensors.
    What is said for people of where the model comes from is believed. progress: told of each minimum cut, see `cic.progress`.

    Raises:
        ArtifactError: naming what does not hold, with the two values that disagree.
    """
    tell = teller(progress)

    def at_ray(done: int, of: int) -> None:
        tell(Progress("proving that no cut is missing", done, of))

    graph = model.graph()
    try:
        problem = stored_problem(graph)
    except MincutError as error:
        raise ArtifactError(f"{model.name}: its ops and tensors make no problem: {error}") from error
    placements = [side_of(problem, ops) for ops in graph.cuts]
    _check_ids(model, placements)
    try:
        codecs = [codecs_of(graph, problem, cut, side) for cut, side in zip(model.cuts, placements, strict=True)]
        alternatives = stored_alternatives(graph, problem)
    except ArtifactError as error:
        raise ArtifactError(f"{model.name}: {error}") from error
    for cut, placement, codec in zip(model.cuts, placements, codecs, strict=True):
        if not is_allowed(graph, problem, placement, codec):
            raise ArtifactError(
                f"{model.name}: cut {cut.label} uses codecs that miss the accuracy target together; compile again"
            )
        counted = tuple(problem.features(placement, codec))
        if counted != cut.features:
            raise ArtifactError(
                f"{model.name}: cut {cut.label} stores the features {cut.features}, its ops add up to {counted}"
            )
    _check_stored_codecs(model)
    _check_break_points(model)
    try:
        box, limits, allowed = price_box(model.box), limit_rows(graph), _allowed_loss(model)
        proof = prove(
            problem, box, placements, codecs, alternatives=alternatives, limits=limits, most_loss=allowed, progress=at_ray
        )
    except MincutError as error:
        raise ArtifactError(f"{model.name}: the table is not optimal in its box: {error}") from error
    _check_proof(model, proof)
    if model.table.stream is not None:
        _check_streams(model, graph, problem, codecs)
    return Verification(len(placements), len(proof.rays), proof.gap)


def _allowed_loss(model: SplittingModel) -> float | None:
    """What the cuts of a table lose at most by its own word, if it keeps a few; None for a table of all."""
    return None if model.table.few is None else model.proof.gap


def _check_streams(model: SplittingModel, graph: StoredGraph, problem: Problem, codecs: Sequence[IntArray | None]) -> None:
    """The cuts for streams are found anew, from nothing that the file says of them; the table has as good ones."""
    assert model.table.stream is not None
    box, sides = StageBox.of(price_box(model.table.stream.box)), [side_of(problem, ops) for ops in graph.cuts]
    try:
        anew = stage_front(problem, box, alternatives=shown_alternatives(model.table, graph, problem))
    except MincutError as error:
        raise ArtifactError(f"{model.name}: its cuts for streams cannot be found anew: {error}") from error
    kept = [problem.features(side, codec)[:4] for side, codec in zip(sides, codecs, strict=True)]
    clipped = box.clipped(np.array(kept, dtype=np.int64))
    for amounts, wanted in zip(anew.amounts.tolist(), box.clipped(anew.amounts), strict=True):
        if not (clipped <= wanted).all(axis=1).any():
            raise ArtifactError(
                f"{model.name}: somewhere in its box for streams a cut of {amounts} ns on device and server and bytes up and "
                "down gives most answers a second, and no cut of the table gives as many; compile again"
            )


def _check_stored_codecs(model: SplittingModel) -> None:
    """Codecs that are made from stored numbers can be made, and take the tensors that are sent under them."""
    shapes = {tensor.name: tensor.shape for tensor in model.graph().tensors}
    for cut in model.cuts:
        for tensor, name in cut.codec_of.items():
            try:
                if needed_digest(name) is not None:
                    model.codec(name).encode(np.zeros(shapes[tensor], np.float32), tensor)
            except CodecError as error:
                raise ArtifactError(f"{model.name}: cut {cut.label} cannot send {tensor}: {error}; compile again") from error


def _check_ids(model: SplittingModel, placements: list[BoolArray]) -> None:
    """An id stands for one device side, and the two that say which must say it truly."""
    side_of: dict[str, bytes] = {}
    id_of: dict[bytes, str] = {}
    for cut, side in zip(model.cuts, placements, strict=True):
        named = DEVICE_ONLY if side.all() else SERVER_ONLY if not side.any() else None
        if named != cut.id and (named is not None or cut.id in (DEVICE_ONLY, SERVER_ONLY)):
            raise ArtifactError(f"{model.name}: the cut {cut.id} has {int(side.sum())} of {len(side)} ops on the device")
        if side_of.setdefault(cut.id, side.tobytes()) != side.tobytes() or id_of.setdefault(side.tobytes(), cut.id) != cut.id:
            raise ArtifactError(f"{model.name}: {cut.id} and another cut share their id or their ops, but not both")


def _check_proof(model: SplittingModel, found: Proof) -> None:
    """The proof in the file promises no more than was found, at the very prices that it names."""
    proof = model.proof
    if not proof.complete and model.table.few is None:
        return
    if proof.gap is None or found.gap > max(proof.gap, NEGLIGIBLE_GAP):
        raise ArtifactError(f"{model.name}: its proof allows a gap of {proof.gap}, found is {found.gap:g}; compile again")
    corners = _corners(model)
    unmatched = [ray for ray in proof.rays if not any(_same_direction(ray, corner) for corner in corners)]
    if len(proof.rays) != len(corners) or unmatched or proof.solves < len(proof.rays):
        raise ArtifactError(
            f"{model.name}: its proof names {len(proof.rays)} prices and {proof.solves} minimum cuts, {len(unmatched)} of them "
            f"at no corner of the envelope, which has {len(corners)}; compile again"
        )


def _corners(model: SplittingModel) -> list[tuple[int, ...]]:
    """The prices that a proof of this table needs; without that of downloads where the compressed problem had no use for it."""
    axes = (0, 1, UPLOAD, DOWNLOAD) if any(ray[DOWNLOAD] for ray in model.proof.rays) else (0, 1, UPLOAD)
    cone, _ = envelope_cone(price_box(model.box), axes, [Features(*cut.features) for cut in model.cuts])
    return [all_prices(ray[:-1], axes) for ray in cone.rays if any(ray[:-1])]


def _same_direction(one: Sequence[int], other: Sequence[int]) -> bool:
    """Do two vectors of prices differ by a factor, and by what rounding the first to whole numbers can do?"""
    largest = max(range(len(one)), key=lambda axis: one[axis])
    return one[largest] > 0 and all(
        abs(a * other[largest] - b * one[largest]) <= other[largest] + b for a, b in zip(one, other, strict=True)
    )


def _check_break_points(model: SplittingModel) -> None:
    if not all(model.box.contains(model.default_conditions(uplink_bps)) for uplink_bps in model.box.uplink_bps):
        raise ArtifactError(
            f"{model.name}: the default rtt {model.default_rtt_s} and downlink ratio {model.default_downlink_ratio} lie outside"
            f" {model.box!r}"
        )
    lines = [line(cut.row, model.default_rtt_s, model.default_downlink_ratio, 1.0, 1.0) for cut in model.cuts]
    points, best = break_points(lines, model.box.uplink_bps)
    if points != list(model.break_points) or best != list(model.best_between):
        raise ArtifactError(f"{model.name}: break points are {model.break_points}, the cuts say {points}; compile again")
    for point, (slower, faster) in zip(points, pairwise(best), strict=True):
        at = Conditions(point, point * model.default_downlink_ratio, model.default_rtt_s)
        left, right = model.cuts[slower].latency_s(at), model.cuts[faster].latency_s(at)
        if abs(left - right) > 1e-9 * max(left, right):
            raise ArtifactError(f"{model.name}: at {point:g} bit/s two cuts should tie, they take {left} s and {right} s")
