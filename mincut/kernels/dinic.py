"""Dinic's blocking flows (Soviet Math. Doklady 11, 1970) on a network whose terminal arcs are one number a node.

Closed file: no call leaves it, because a cached numba kernel does not notice a change in a callee elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def run(start, head, reverse, capacity, terminal, on_source_side):  # type: ignore[no-untyped-def]
    """Maximum flow from all nodes with terminal > 0 to all nodes with terminal < 0.

    Args:
        start: int64[N + 1]; head, reverse: int64[A]; see `mincut.network.Network`.
        capacity: int64[A], terminal: int64[N]; residual, changed in place.
        on_source_side: bool[N], filled with the smallest source side of a minimum cut.

    Returns:
        The flow value.

    Each phase labels every node with its distance from the sources, then saturates the graph of arcs that go one level up,
    letting a path end at any sink on the way: the nearest sink gets farther with every phase, so there are at most N phases.
    """
    node_count = len(terminal)
    level = np.empty(node_count, dtype=np.int64)
    queue = np.empty(node_count, dtype=np.int64)
    current = np.empty(node_count, dtype=np.int64)
    path = np.empty(node_count, dtype=np.int64)
    total = 0
    while True:
        level[:] = -1
        filled = 0
        for node in range(node_count):
            if terminal[node] > 0:
                level[node] = 0
                queue[filled] = node
                filled += 1
        sources = filled
        taken = 0
        sink_seen = False
        while taken < filled:
            node = queue[taken]
            taken += 1
            if terminal[node] < 0:
                sink_seen = True
            for arc in range(start[node], start[node + 1]):
                other = head[arc]
                if capacity[arc] > 0 and level[other] < 0:
                    level[other] = level[node] + 1
                    queue[filled] = other
                    filled += 1
        if not sink_seen:
            for node in range(node_count):
                on_source_side[node] = level[node] >= 0
            return total
        for node in range(node_count):
            current[node] = start[node]
        for index in range(sources):
            root = queue[index]
            depth = 0
            node = root
            while terminal[root] > 0:
                if terminal[node] < 0:
                    amount = min(terminal[root], -terminal[node])
                    for step in range(depth):
                        amount = min(amount, capacity[path[step]])
                    terminal[root] -= amount
                    terminal[node] += amount
                    total += amount
                    back_to = depth
                    for step in range(depth - 1, -1, -1):
                        arc = path[step]
                        capacity[arc] -= amount
                        capacity[reverse[arc]] += amount
                        if capacity[arc] == 0:
                            back_to = step
                    if back_to < depth:
                        node = head[reverse[path[back_to]]]
                        depth = back_to
                    continue
                advanced = False
                while current[node] < start[node + 1]:
                    arc = current[node]
                    other = head[arc]
                    if capacity[arc] > 0 and level[other] == level[node] + 1:
                        path[depth] = arc
                        depth += 1
                        node = other
                        advanced = True
                        break
                    current[node] += 1
                if advanced:
                    continue
                if depth == 0:
                    break
                depth -= 1
                node = head[reverse[path[depth]]]
                current[node] += 1
