"""The fastest slowest stage as a mixed-integer program for HiGHS: an oracle that shares no idea with `mincut.stage_front`.

A variable of 0 or 1 says of each op whether it is on the device, one of each tensor whether it crosses, and one number is above
all four stages. Constraints are those of the formulation: an op on the device has there what it reads, and a tensor crosses if
it is on the device and some reader is not. Every tensor crosses as it is.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, Problem


def shortest_interval_ns(problem: Problem, ns_per_byte: float, *, seconds: float = 60.0) -> tuple[float, float]:
    """The least max of the stages, and a lower bound of it that HiGHS has proved; ns.

    Raises:
        RuntimeError: HiGHS found nothing in time.
    """
    ops, tensors = problem.op_count, problem.tensor_count
    unit = max(float(problem.device_ns.sum()), 1.0)
    device, server = problem.device_ns / unit, problem.server_ns / unit
    upload, download = problem.wire_bytes * (ns_per_byte / unit), problem.download_bytes * (ns_per_byte / unit)
    columns = ops + tensors + 1
    rows: list[tuple[int, int, float]] = []
    upper: list[float] = []

    def at_most(entries: list[tuple[int, float]], limit: float) -> None:
        rows.extend((len(upper), column, value) for column, value in entries)
        upper.append(limit)

    slowest = (columns - 1, -1.0)
    at_most([*enumerate(device.tolist()), slowest], 0.0)
    at_most([*((op, -value) for op, value in enumerate(server.tolist())), slowest], -float(server.sum()))
    at_most([*((op, -value) for op, value in enumerate(download.tolist())), slowest], -float(download.sum()))
    at_most([*((ops + tensor, value) for tensor, value in enumerate(upload.tolist())), slowest], 0.0)
    for tensor in range(tensors):
        producer = int(problem.producer[tensor])
        for reader in problem.readers(tensor).tolist():
            if producer == MODEL_INPUT:
                at_most([(reader, -1.0), (ops + tensor, -1.0)], -1.0)
                continue
            at_most([(reader, 1.0), (producer, -1.0)], 0.0)
            at_most([(producer, 1.0), (reader, -1.0), (ops + tensor, -1.0)], 0.0)
    low, high = np.zeros(columns), np.ones(columns)
    low[:ops][problem.pinned == ON_DEVICE] = 1.0
    high[:ops][problem.pinned == ON_SERVER] = 0.0
    high[ops : ops + tensors][~problem.may_cross] = 0.0
    high[-1] = np.inf
    row, column, value = (np.array(each) for each in zip(*rows, strict=True))
    matrix = coo_array((value.astype(np.float64), (row, column)), shape=(len(upper), columns)).tocsr()
    cost, whole = np.zeros(columns), np.ones(columns)
    cost[-1], whole[-1] = 1.0, 0.0
    found = milp(
        cost,
        integrality=whole,
        bounds=Bounds(low, high),
        constraints=LinearConstraint(matrix, -np.inf, np.array(upper)),
        options={"mip_rel_gap": 0.0, "time_limit": seconds},
    )
    if found.x is None:
        raise RuntimeError(f"HiGHS found nothing: {found.message}")
    return float(found.fun) * unit, float(found.mip_dual_bound) * unit
