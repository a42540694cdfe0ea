"""A splitting model straight from numbers, for problems that come from no torch model: compress, envelope, table."""

from __future__ import annotations

import numpy as np

from cic.compilation.lowering import bounds, price_box
from cic.decision.break_points import break_points, line
from cic.decision.conditions import Box
from cic.decision.splitting_model import DEVICE_ONLY, SERVER_ONLY, Cut, SplittingModel
from compress.schedule import compress
from mincut.envelope import envelope
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
    cuts = [Cut(_name(index, side), problem.features(side), lambda: ((), ())) for index, side in enumerate(distinct)]
    points, best = break_points([line(cut.row, 0.0, 1.0, 1.0, 1.0) for cut in cuts], box.uplink_bps)
    model = SplittingModel(
        name=name,
        cuts=cuts,
        break_points=points,
        best_between=best,
        box=box,
        default_rtt_s=0.0,
        default_downlink_ratio=1.0,
        information={},
        proof={"complete": found.complete, "gap": found.gap},
        graph=dict,
    )
    return model, distinct


def _name(index: int, side: BoolArray) -> str:
    if side.all():
        return DEVICE_ONLY
    return f"cut-{index:02d}" if side.any() else SERVER_ONLY
