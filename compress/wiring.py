"""Who reads what: the view of a `Problem` that local rules need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mincut.problem import MODEL_INPUT, Problem


@dataclass(frozen=True)
class Wiring:
    """Tensors into and out of each op, and the ops on the other side.

    reads[v], makes[v]: tensor ids. readers_of[v]: ops that read anything v makes. read_from[v]: ops (or MODEL_INPUT)
    that make anything v reads.
    """

    reads: list[list[int]]
    makes: list[list[int]]
    readers_of: list[set[int]]
    read_from: list[set[int]]


def wiring(problem: Problem) -> Wiring:
    """Build the view in one pass."""
    reads: list[list[int]] = [[] for _ in range(problem.op_count)]
    makes: list[list[int]] = [[] for _ in range(problem.op_count)]
    readers_of: list[set[int]] = [set() for _ in range(problem.op_count)]
    read_from: list[set[int]] = [set() for _ in range(problem.op_count)]
    readers = np.split(problem.consumers, problem.consumer_start[1:-1])
    for tensor, producer in enumerate(problem.producer.tolist()):
        if producer != MODEL_INPUT:
            makes[producer].append(tensor)
            readers_of[producer].update(readers[tensor].tolist())
        for op in readers[tensor].tolist():
            reads[op].append(tensor)
            read_from[op].add(producer)
    return Wiring(reads, makes, readers_of, read_from)
