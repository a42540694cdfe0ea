"""The fastest cut at one uplink within limits of memory or weights, by HiGHS: memory as it is defined, with no linear rows.

For each op v there is a binary x_v, 1 on the device. For each moment, the run of op i, and each tensor there is an h in 0..1
that is at least 1 where the head holds the tensor. The sum of their bytes stays within the limit where x_i = 1; where it is 0,
all that there is may be held. In floating point, so that amounts are scaled to the limit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from cic.decision.stored_graph import StoredGraph


def least_latency(
    graph: StoredGraph,
    uplink_bps: float,
    weights: Sequence[int],
    *,
    most_memory: int | None = None,
    most_weights: int | None = None,
) -> float:
    """Seconds, with a downlink as fast as the uplink and no round trip. The graph's tensors cross as they are."""
    ops, tensors = len(graph.ops), graph.tensors
    program = _Program(ops + len(tensors), np.ones(ops + len(tensors)))
    objective = np.zeros(ops + len(tensors))
    for index, op in enumerate(graph.ops):
        objective[index] += (op.device_ns - op.server_ns) * 1e-9
    constant = sum(op.server_ns for op in graph.ops) * 1e-9
    for place, tensor in enumerate(tensors):
        crossing = ops + place
        objective[crossing] += 8 * tensor.wire_bytes / uplink_bps
        for reader in tensor.consumers:
            # Crosses if it is made here and read there; results never flow back.
            made = {} if tensor.producer < 0 else {tensor.producer: 1.0}
            program.at_most({**made, reader: -1.0, crossing: -1.0}, 0.0 if made else -1.0)
            if made:
                program.at_most({reader: 1.0, tensor.producer: -1.0}, 0.0)
        if tensor.is_output and tensor.producer >= 0:
            objective[tensor.producer] -= 8 * tensor.wire_bytes / uplink_bps
            constant += 8 * tensor.wire_bytes / uplink_bps
    if most_weights is not None:
        program.at_most({index: size / most_weights for index, size in enumerate(weights)}, 1.0)
    if most_memory is not None:
        _hold_within(program, graph, most_memory)
    objective = np.concatenate((objective, np.zeros(program.size - len(objective))))
    return program.least(objective) + constant


def _hold_within(program: _Program, graph: StoredGraph, most: int) -> None:
    ops, tensors = len(graph.ops), graph.tensors
    total = sum(tensor.wire_bytes for tensor in tensors)
    for moment in range(ops + 1):
        held: dict[int, float] = {}
        for place, tensor in enumerate(tensors):
            if tensor.producer > moment:
                continue
            crossing, later = ops + place, [reader for reader in tensor.consumers if reader >= moment]
            hold = program.variable()
            held[hold] = tensor.wire_bytes / most
            if moment == ops and tensor.consumers:
                # The payload, besides.
                held[crossing] = tensor.wire_bytes / most
            program.at_most({crossing: 1.0, hold: -1.0}, 0.0)
            for reader in later:
                program.at_most({reader: 1.0, hold: -1.0}, 0.0)
            if tensor.producer >= 0 and (tensor.is_output or tensor.producer == moment):
                program.at_most({tensor.producer: 1.0, hold: -1.0}, 0.0)
        if moment < ops:
            program.at_most({**held, moment: total / most}, 1.0 + total / most)
        else:
            program.at_most(held, 1.0)
    inputs = sum(tensor.wire_bytes for tensor in tensors if tensor.producer < 0 and tensor.consumers)
    assert inputs <= most, f"the inputs take {inputs} bytes, more than {most}"


class _Program:
    """Rows that are added one by one; variables from `first` on are continuous, in 0..1."""

    def __init__(self, first: int, integrality: np.ndarray) -> None:
        self.size, self._integrality = first, integrality
        self._entries: list[tuple[int, int, float]] = []
        self._most: list[float] = []

    def variable(self) -> int:
        """One more."""
        self.size += 1
        return self.size - 1

    def at_most(self, entries: dict[int, float], limit: float) -> None:
        self._entries += [(len(self._most), column, value) for column, value in entries.items()]
        self._most.append(limit)

    def least(self, objective: np.ndarray) -> float:
        """The optimum. Raises AssertionError if there is none."""
        rows, columns, values = zip(*self._entries, strict=True)
        matrix = coo_array((values, (rows, columns)), shape=(len(self._most), self.size)).tocsr()
        found = milp(
            objective,
            integrality=np.concatenate((self._integrality, np.zeros(self.size - len(self._integrality)))),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, -np.inf, np.array(self._most)),
            options={"mip_rel_gap": 1e-9},
        )
        assert found.status == 0, found.message
        return float(found.fun)
