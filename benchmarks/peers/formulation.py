"""The min-cut problem as flow solvers other than ours are given it, written without looking at `mincut.network`.

The published capacities (DADS, INFOCOM 2019, Eq. 4) and what they lack: infinite arcs against the direction of the data, the
model input on the device, the way back of the result, the rtt. The source side of a cut runs on the device.

    source → op         server time, and the bytes of the result on the downlink     op on the server
    op → sink           device time                                                  op on the device
    op → reader         bytes on the uplink                                          a tensor with one reader
    op → tensor         bytes on the uplink; tensor → readers infinite               a tensor with several
    reader → op         infinite                                                     data never flows back
    source → any        rtt; any → ops without readers infinite                      anything on the server
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mincut.problem import MODEL_INPUT, ON_DEVICE, ON_SERVER, BoolArray, Prices, Problem

Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Capacities:
    """forward, backward: of each pair of `Formulation`; from_source, to_sink: of each node. All int64."""

    forward: Array
    backward: Array
    from_source: Array
    to_sink: Array


@dataclass(frozen=True, eq=False)
class Formulation:
    """Arc pairs between inner nodes, and two terminal arcs a node; ops come first among the nodes.

    tail, head: int64[pairs]. forward_bytes, backward_bytes: paid on the uplink, or -1 for an infinite arc.
    source_bytes: int64[nodes], model inputs that a node stands for; -1 infinite.
    allowed: features of placements that are known to be allowed; the cheapest bounds the optimum.
    """

    problem: Problem
    node_count: int
    tail: Array
    head: Array
    forward_bytes: Array
    backward_bytes: Array
    source_bytes: Array
    any_node: int
    allowed: Array

    def limit(self, prices: Prices) -> int:
        """A finite infinity: more than an optimal placement costs."""
        return 1 + min(sum(int(a) * int(p) for a, p in zip(row, prices, strict=True)) for row in self.allowed)

    def capacities(self, prices: Prices, infinite: int | None = None) -> Capacities:
        """Integer capacities, cut off just above `infinite` so that nothing wraps."""
        infinite = self.limit(prices) if infinite is None else infinite
        problem, ops = self.problem, self.problem.op_count
        from_source = capped(self.source_bytes, prices.upload, infinite)
        to_sink = np.zeros(self.node_count, dtype=np.int64)
        from_source[:ops] += capped(problem.server_ns, prices.server, infinite)
        if prices.download:
            from_source[:ops] += capped(problem.download_bytes, prices.download, infinite)
        from_source[self.any_node] = min(prices.offload, infinite)
        to_sink[:ops] = capped(problem.device_ns, prices.device, infinite)
        from_source[:ops][problem.pinned == ON_DEVICE] = infinite
        to_sink[:ops][problem.pinned == ON_SERVER] = infinite
        return Capacities(
            capped(self.forward_bytes, prices.upload, infinite),
            capped(self.backward_bytes, prices.upload, infinite),
            np.minimum(from_source, infinite),
            np.minimum(to_sink, infinite),
        )


def formulate(problem: Problem) -> Formulation:
    """Lay the network out once; capacities come with the prices.

    Raises:
        ValueError: no placement is allowed.
    """
    arcs: dict[tuple[int, int], int] = {}
    ops = problem.op_count
    source_bytes: dict[int, int] = {}
    node_count = ops
    for tensor in range(problem.tensor_count):
        readers = [int(op) for op in problem.readers(tensor)]
        producer = int(problem.producer[tensor])
        size = int(problem.wire_bytes[tensor]) if problem.may_cross[tensor] else -1
        target = readers[0]
        if len(readers) > 1:
            target, node_count = node_count, node_count + 1
            for reader in readers:
                _add(arcs, (target, reader), -1)
        if producer == MODEL_INPUT:
            _add(source_bytes, target, size)
            continue
        _add(arcs, (producer, target), size)
        for reader in readers:
            _add(arcs, (reader, producer), -1)
    for op in sorted(set(range(ops)) - {int(producer) for producer in problem.producer}):
        _add(arcs, (node_count, op), -1)
    pairs = sorted({(min(pair), max(pair)) for pair in arcs})
    node_count += 1
    by_node = np.zeros(node_count, dtype=np.int64)
    for node, size in source_bytes.items():
        by_node[node] = size
    return Formulation(
        problem,
        node_count,
        np.array([tail for tail, _ in pairs], dtype=np.int64),
        np.array([head for _, head in pairs], dtype=np.int64),
        np.array([arcs.get((tail, head), 0) for tail, head in pairs], dtype=np.int64),
        np.array([arcs.get((head, tail), 0) for tail, head in pairs], dtype=np.int64),
        by_node,
        node_count - 1,
        _allowed(problem),
    )


def _add(arcs: dict[Any, int], key: Any, size: int) -> None:
    before = arcs.get(key, 0)
    arcs[key] = -1 if -1 in (before, size) else before + size


def capped(amount: Array, unit: int, infinite: int) -> Array:
    """min(amount * unit, a little over infinite), -1 standing for infinity; never wraps."""
    if unit == 0:
        return np.where(amount < 0, np.int64(infinite), 0)
    unit = min(unit, infinite + 1)
    most = infinite // unit + 1
    return np.asarray(np.where(amount < 0, infinite, np.minimum(amount, most) * unit), dtype=np.int64)


def _allowed(problem: Problem) -> Array:
    """Features of the smallest allowed device side and, if allowed, of everything on the device."""
    side = problem.pinned == ON_DEVICE
    tensors = [
        (int(problem.producer[tensor]), problem.readers(tensor), bool(problem.may_cross[tensor]))
        for tensor in range(problem.tensor_count)
    ]
    while True:
        before = int(side.sum())
        for producer, readers, may_cross in tensors:
            made_here = producer == MODEL_INPUT or side[producer]
            if made_here and not may_cross:
                side[readers] = True
            if producer != MODEL_INPUT and side[readers].any():
                side[producer] = True
        if int(side.sum()) == before:
            break
    everything = np.ones(problem.op_count, dtype=np.bool_)
    sides = [each for each in (side, everything) if not (each & (problem.pinned == ON_SERVER)).any()]
    if not sides:
        raise ValueError("no placement is allowed")
    return np.array([features(problem, each) for each in sides], dtype=np.int64)


def features(problem: Problem, on_device: BoolArray) -> tuple[int, int, int, int, int]:
    """What a placement uses, tensor by tensor."""
    upload = 0
    for tensor in range(problem.tensor_count):
        producer = int(problem.producer[tensor])
        made_on_device = producer == MODEL_INPUT or bool(on_device[producer])
        if made_on_device and not on_device[problem.readers(tensor)].all():
            upload += int(problem.wire_bytes[tensor])
    on_server = ~on_device
    return (
        int(problem.device_ns[on_device].sum()),
        int(problem.server_ns[on_server].sum()),
        upload,
        int(problem.download_bytes[on_server].sum()),
        int(on_server.any()),
    )
