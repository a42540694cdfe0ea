"""A splitting model straight from numbers, for problems that come from no torch model: compress, envelope, table."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.bare_tables import bare_model
from cic.compilation.lowering import bounds, price_box
from cic.decision.conditions import Box
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.proof import StoredProof
from cic.decision.splitting_model import SplittingModel
from compress.schedule import compress
from mincut.lower_envelope import envelope
from mincut.network import build
from mincut.problem import BoolArray, Problem


def splitting_model(name: str, problem: Problem, box: Box) -> tuple[SplittingModel, list[BoolArray]]:
    """What `cic.compile` would make of the problem, and the device side of each of its cuts.

    Raises:
        InfeasibleError: no placement is allowed.
    """
    reduction = compress(problem, bounds(box, 0.0)).reduction
    found = envelope(reduction.problem, price_box(box))
    sides = [reduction.lift(placement) for placement in found.placements]
    sides.append(build(problem).feasible)
    everything = np.ones(problem.op_count, dtype=np.bool_)
    if problem.violation(everything) is None:
        sides.append(everything)
    distinct = sorted({side.tobytes(): side for side in sides}.values(), key=lambda side: int(side.sum()))
    features = [(_name(index, side), problem.features(side)) for index, side in enumerate(distinct)]
    proof = StoredProof(complete=found.complete, gap=found.gap, solves=found.solves, rays=())
    model = bare_model(name, features, box, proof=proof)
    return model, distinct


def _name(index: int, side: BoolArray) -> str:
    if side.all():
        return DEVICE_ONLY
    return f"cut-{index:02d}" if side.any() else SERVER_ONLY
