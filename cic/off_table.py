"""Decisions the table does not cover: a minimum cut on the spot. Needs numpy and numba."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cic.artifact import details_of
from cic.conditions import Conditions
from cic.decision import Decision
from cic.errors import DecisionError
from cic.lowering import weights
from cic.splitting_model import Cut, SplittingModel
from mincut.envelope import scaled_prices
from mincut.network import build
from mincut.problem import Problem, make_problem
from mincut.solver import solve


def decide_off_table(
    model: SplittingModel, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None
) -> Decision:
    """The optimal cut for any conditions and op times, by a minimum cut on the full graph.

    Raises:
        DecisionError: `op_times` names an op that does not exist, or a time that is no time.
    """
    problem = stored_problem(model, op_times or {})
    placement = solve(problem, scaled_prices(build(problem), weights(conditions)))
    ops = np.flatnonzero(placement.on_device).tolist()
    whole = model.graph()
    known = whole["cuts"].index(ops) if ops in whole["cuts"] else None
    if known is not None and op_times is None:
        return Decision(model.cuts[known], conditions.numbers, model, source="solver")
    document = {"ops": whole["ops"], "tensors": whole["tensors"], "cuts": [ops]}
    cut_id = model.cuts[known].id if known is not None else "not-emitted"
    return Decision(
        Cut(cut_id, placement.features, details_of(lambda: document, 0)), conditions.numbers, model, source="solver"
    )


def stored_problem(model: SplittingModel, op_times: Mapping[str, tuple[float, float]]) -> Problem:
    """The problem that a splitting model was compiled from, some op times replaced."""
    whole = model.graph()
    names = {op["name"] for op in whole["ops"]}
    for name, times in op_times.items():
        if name not in names:
            raise DecisionError(f"op_times names {name!r}, which {model.name} does not have")
        if len(times) != 2 or not all(0 <= time < 1e5 for time in times):
            raise DecisionError(f"op_times of {name} are {times!r}, expected (device seconds, server seconds)")
    device_ns, server_ns = [], []
    for op in whole["ops"]:
        replaced = op_times.get(op["name"])
        device_ns.append(op["device_ns"] if replaced is None else round(replaced[0] * 1e9))
        server_ns.append(op["server_ns"] if replaced is None else round(replaced[1] * 1e9))
    download = [0] * len(whole["ops"])
    for tensor in whole["tensors"]:
        if tensor["is_output"] and tensor["producer"] >= 0:
            download[tensor["producer"]] += tensor["wire_bytes"]
    return make_problem(
        device_ns,
        server_ns,
        [(tensor["producer"], tensor["consumers"], tensor["wire_bytes"]) for tensor in whole["tensors"]],
        download_bytes=download,
        pinned=[op["pinned"] for op in whole["ops"]],
        may_cross=[tensor["may_cross"] for tensor in whole["tensors"]],
    )
