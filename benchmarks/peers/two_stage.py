"""A two-stage solver in the manner of QDMP (Zhang et al., IMWUT 4(2), 2020), in our reading of its abstract.

The abstract says that the optimum lies between two adjacent cut vertices of the DAG, that a first stage finds these, and that
a second stage solves a min cut on the part between them; capacities and code were not published. Our reading, made exact and
as fast as we can think of:

offline   cut vertices (ops that every path passes), the parts between them, prefix sums of times, and for each part the
          least number of bytes that any cut through it sends (a min cut on sizes)
stage 1   a lower bound per part for the bandwidth: times before and after it, the cheaper time of each op in it, least bytes
stage 2   min cuts (Boykov-Kolmogorov, C++) of single parts, most promising first, until no bound is below the best found
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.peers.formulation import Formulation, capped, formulate
from benchmarks.peers.solvers import pymaxflow, pymaxflow_graph
from mincut.problem import FREE, MODEL_INPUT, ON_DEVICE, ON_SERVER, Prices, Problem, make_problem


@dataclass(frozen=True, eq=False)
class Part:
    """The ops between two cut vertices, all before on the device, all after on the server.

    amounts: what every placement in this part uses at least, as features.
    """

    formulation: Formulation
    amounts: tuple[int, int, int, int, int]


def two_stage(problem: Problem, infinite: int) -> Callable[[Prices], int]:
    """Prepare the parts of a problem; the result gives the value of the minimum cut.

    Args:
        infinite: more than everything on the device costs.

    Raises:
        ValueError: pins or private tensors, which this solver does not know.
    """
    if problem.pinned.any() or not problem.may_cross.all():
        raise ValueError("the two-stage solver knows neither pins nor private tensors")
    vertices = [-1, *cut_vertices(problem), problem.op_count]
    parts = [_part(problem, before, after) for before, after in pairwise(vertices)]
    solvers = [pymaxflow(part.formulation, infinite) for part in parts]
    amounts = np.array([part.amounts for part in parts], dtype=np.int64)
    inside = [(max(before + 1, 0), after) for before, after in pairwise(vertices)]
    first, last = (np.array(ends, dtype=np.int64) for ends in zip(*inside, strict=True))

    def solve(prices: Prices) -> int:
        cheaper = np.minimum(problem.device_ns * prices.device, problem.server_ns * prices.server)
        summed = np.concatenate([[0], np.cumsum(cheaper)])
        bound = amounts[:, 0] * prices.device + amounts[:, 1] * prices.server + amounts[:, 4] * prices.offload
        bound += capped(amounts[:, 2], prices.upload, infinite) + capped(amounts[:, 3], prices.download, infinite)
        bound += summed[last] - summed[first]
        best = infinite
        for index in np.argsort(bound).tolist():
            if bound[index] >= best:
                break
            best = min(best, int(solvers[index](prices)))
        return best

    return solve


def cut_vertices(problem: Problem) -> list[int]:
    """Ops with every other op before them an ancestor and every op after them a descendant, and no link past them."""
    ops = problem.op_count
    reached = np.arange(ops)  # the last reader of anything made by ops up to here
    fed = np.zeros(ops, dtype=np.bool_)
    read = np.zeros(ops, dtype=np.bool_)
    last_input_reader = -1
    for tensor in range(problem.tensor_count):
        producer, readers = int(problem.producer[tensor]), problem.readers(tensor)
        if producer == MODEL_INPUT:
            last_input_reader = max(last_input_reader, int(readers[-1]))
            continue
        reached[producer] = max(reached[producer], int(readers[-1]))
        read[producer] = True
        fed[readers] = True
    farthest = np.concatenate([[-1], np.maximum.accumulate(reached)])[:-1]
    all_read = np.concatenate([[True], np.logical_and.accumulate(read)])[:-1]
    all_fed = np.concatenate([np.logical_and.accumulate(fed[::-1])[::-1][1:], [True]])
    alone = (farthest <= np.arange(ops)) & (last_input_reader <= np.arange(ops))
    return [int(op) for op in np.flatnonzero(alone & all_read & all_fed)]


def _part(problem: Problem, before: int, after: int) -> Part:
    """The ops strictly between two cut vertices; the outer ops become one op on either side."""
    ops = problem.op_count
    free = list(range(before + 1, after))
    head, tail = before >= 0, after < ops
    # Op ids of the part: one for everything up to `before`, the free ones, one for everything from `after`.
    device_ns = [int(problem.device_ns[: before + 1].sum())] * head + problem.device_ns[free].tolist() + [0] * tail
    server_ns = [0] * head + problem.server_ns[free].tolist() + [int(problem.server_ns[after:].sum())] * tail
    download = [0] * head + problem.download_bytes[free].tolist() + [int(problem.download_bytes[after:].sum())] * tail
    pinned = [ON_DEVICE] * head + [FREE] * len(free) + [ON_SERVER] * tail
    shift = head - (before + 1)
    tensors = []
    for tensor in range(problem.tensor_count):
        producer, readers = int(problem.producer[tensor]), problem.readers(tensor)
        belongs = producer >= before if head else producer < after
        if belongs and producer < after and readers[-1] > before:
            source = MODEL_INPUT if producer == MODEL_INPUT else producer + shift
            tensors.append((source, [int(op) + shift for op in readers], int(problem.wire_bytes[tensor])))
    formulation = formulate(make_problem(device_ns, server_ns, tensors, download_bytes=download, pinned=pinned))
    least = int(pymaxflow_graph(formulation)(Prices(0, 0, 1, 0, 0)).maxflow())
    return Part(formulation, (device_ns[0] if head else 0, server_ns[-1] if tail else 0, least, download[-1] * tail, int(tail)))
