"""Whether a kernel's answer is a maximum flow and the smallest source side: against networkx, and by the flow itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np

from mincut.network import group_by_tail

Arcs = list[tuple[int, int, int, int]]
"""Tail, head, capacity forwards, capacity backwards."""


def check(kernel: Callable[..., int], node_count: int, arcs: Arcs, terminal: list[int]) -> None:
    """Compare value and source side with networkx, and the residual network with the flow it stands for."""
    columns = [np.array(column, dtype=np.int64) for column in zip(*arcs, strict=True)] or [np.zeros(0, dtype=np.int64)] * 4
    start, reverse, head, capacity = group_by_tail(node_count, *columns)
    residual, rest = capacity.copy(), np.array(terminal, dtype=np.int64)
    side = np.zeros(node_count, dtype=np.bool_)
    flow = kernel(start, head, reverse, residual, rest, side)

    graph = nx.DiGraph()
    graph.add_nodes_from(["source", "sink"])
    for node, amount in enumerate(terminal):
        graph.add_edge("source", node, capacity=max(amount, 0))
        graph.add_edge(node, "sink", capacity=max(-amount, 0))
    for tail, to, forwards, backwards in arcs:
        for one, other, amount in ((tail, to, forwards), (to, tail, backwards)):
            before = graph[one][other]["capacity"] if graph.has_edge(one, other) else 0
            graph.add_edge(one, other, capacity=before + amount)
    assert flow == nx.maximum_flow_value(graph, "source", "sink")

    assert (residual >= 0).all()
    assert (residual + residual[reverse] == capacity + capacity[reverse]).all()
    assert (np.abs(rest) <= np.abs(terminal)).all()
    tails = np.repeat(np.arange(node_count), np.diff(start))
    leaving = np.zeros(node_count, dtype=np.int64)
    np.add.at(leaving, tails, capacity - residual)
    assert (leaving == np.array(terminal) - rest).all(), "what enters at a node leaves it"
    reached = {node for node in range(node_count) if rest[node] > 0}
    pending = list(reached)
    while pending:
        node = pending.pop()
        for arc in range(start[node], start[node + 1]):
            if residual[arc] > 0 and head[arc] not in reached:
                reached.add(int(head[arc]))
                pending.append(int(head[arc]))
    assert set(np.flatnonzero(side).tolist()) == reached, "the smallest source side is what the sources still reach"
    assert (rest[side] >= 0).all()


def any_networks(rng: random.Random, count: int) -> Iterator[tuple[int, Arcs, list[int]]]:
    """Node count, arcs and terminals of networks that no DNN makes."""
    for index in range(count):
        node_count = rng.randint(1, 12)
        amounts = rng.choice([[0, 1], [0, 1, 2, 3], [0, 1, 5, 10**9], list(range(20))])
        arcs = [
            (*rng.sample(range(node_count), 2), rng.choice(amounts), rng.choice(amounts))
            for _ in range(rng.randint(0, 4 * node_count) if node_count > 1 else 0)
        ]
        spread = 1 if index % 2 else 3
        yield node_count, arcs, [rng.choice([0] * spread + [-1, 1]) * rng.choice(amounts) for _ in range(node_count)]


def grids(rng: random.Random) -> Iterator[tuple[int, Arcs, list[int]]]:
    """Grids and ladders, where paths are long."""
    for width, height in ((2, 60), (8, 8), (3, 30), (1, 200)):
        for _ in range(4):

            def at(row: int, column: int, width: int = width) -> int:
                return row * width + column

            arcs = [
                (at(row, column), at(row + down, column + right), rng.randint(0, 9), rng.randint(0, 9))
                for row in range(height)
                for column in range(width)
                for down, right in ((0, 1), (1, 0))
                if row + down < height and column + right < width
            ]
            yield width * height, arcs, [rng.choice([0, 0, 0, -1, 1]) * rng.randint(1, 20) for _ in range(width * height)]


def wide_network() -> tuple[int, Arcs, list[int]]:
    """One source, a hundred sinks of 2^60: their sum is beyond int64, the flow is not."""
    big = 2**60
    return 101, [(0, node, big, 0) for node in range(1, 101)], [big] + [-big] * 100
