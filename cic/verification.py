"""`verify`: check a `.cic` file against itself, believing neither the compiler that wrote it nor the solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cic.conditions import Conditions
from cic.errors import ArtifactError
from cic.lowering import price_box
from cic.splitting_model import SplittingModel
from cic.stored_problem import codecs_of, is_allowed, stored_alternatives, stored_problem
from cic.table import break_points, line
from mincut.errors import MincutError
from mincut.problem import BoolArray, Problem
from mincut.proof import prove


@dataclass(frozen=True)
class Verification:
    """What was found true.

    cuts: all allowed, with features as stored. minimum_cuts: certified, one per ray of the envelope.
    gap: no cut is faster than the table's best anywhere in the box by more than this, relative.
    """

    cuts: int
    minimum_cuts: int
    gap: float


def verify(model: SplittingModel, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Recount every cut from the ops and tensors, recompute the break points, and prove that no cut is missing.

    Raises:
        ArtifactError: naming what does not hold, with the two values that disagree.
    """
    problem = stored_problem(model)
    placements = [_placement(model, problem, index) for index in range(len(model.cuts))]
    codecs = [codecs_of(model, problem, cut, side) for cut, side in zip(model.cuts, placements, strict=True)]
    for cut, placement, codec in zip(model.cuts, placements, codecs, strict=True):
        if not is_allowed(model, problem, placement, codec):
            raise ArtifactError(
                f"{model.name}: cut {cut.label} uses codecs that miss the accuracy target together; compile again"
            )
        counted = tuple(problem.features(placement, codec))
        if counted != cut.features:
            raise ArtifactError(
                f"{model.name}: cut {cut.label} stores the features {cut.features}, its ops add up to {counted}"
            )
    _check_break_points(model)
    try:
        alternatives = stored_alternatives(model, problem)
        proof = prove(problem, price_box(model.box), placements, codecs, alternatives=alternatives, progress=progress)
    except MincutError as error:
        raise ArtifactError(f"{model.name}: the table is not optimal in its box: {error}") from error
    return Verification(len(placements), len(proof.rays), proof.gap)


def _placement(model: SplittingModel, problem: Problem, index: int) -> BoolArray:
    on_device = np.zeros(problem.op_count, dtype=np.bool_)
    ops = model.graph()["cuts"][index]
    if any(not 0 <= op < problem.op_count for op in ops):
        raise ArtifactError(f"{model.name}: cut {model.cuts[index].id} names ops {ops} of {problem.op_count}")
    on_device[ops] = True
    return on_device


def _check_break_points(model: SplittingModel) -> None:
    lines = [line(cut.row, model.default_rtt_s, model.default_downlink_ratio, 1.0, 1.0) for cut in model.cuts]
    points, best = break_points(lines, model.box.uplink_bps)
    if points != list(model.break_points) or best != list(model.best_between):
        raise ArtifactError(f"{model.name}: break points are {model.break_points}, the cuts say {points}; compile again")
    for point, (slower, faster) in zip(points, pairwise(best), strict=True):
        at = Conditions(point, point * model.default_downlink_ratio, model.default_rtt_s)
        left, right = model.cuts[slower].latency_s(at), model.cuts[faster].latency_s(at)
        if abs(left - right) > 1e-9 * max(left, right):
            raise ArtifactError(f"{model.name}: at {point:g} bit/s two cuts should tie, they take {left} s and {right} s")
