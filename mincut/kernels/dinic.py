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

    Each phase labels nodes with their distance from the sources, then saturates the graph of arcs that go one level up,
    letting flow end at any sink on the way. Almost every op is a sink here, so three things keep a phase local:

    - A source's search ends with the level at which the sinks it has claimed can take all it has. It has met one by then,
      so no search ends before the level of the nearest sink: every shortest path is labelled, the nearest sink gets farther
      with every phase, and there are at most N phases. The last phase meets no sink, so it labels all the sources reach.
    - Flow is carried along the search for paths and booked at the way back, once an arc and not once a path.
    - A phase resets only what the one before has labelled.
    """
    node_count = len(terminal)
    level = np.full(node_count, -1, dtype=np.int64)
    queue = np.empty(node_count, dtype=np.int64)
    current = np.empty(node_count, dtype=np.int64)
    # The source that claimed a node; what it still has for sinks not yet met; the level at which that ran out.
    claimed_by = np.empty(node_count, dtype=np.int64)
    wanting = np.empty(node_count, dtype=np.int64)
    last_level = np.empty(node_count, dtype=np.int64)
    # The path from a source: the arc into each step, what came in by it, and what of that is left.
    path = np.empty(node_count + 1, dtype=np.int64)
    brought = np.empty(node_count + 1, dtype=np.int64)
    left = np.empty(node_count + 1, dtype=np.int64)
    sources = np.empty(node_count, dtype=np.int64)
    source_count = 0
    for node in range(node_count):
        if terminal[node] > 0:
            sources[source_count] = node
            source_count += 1
    total = 0
    while True:
        filled = 0
        for index in range(source_count):
            node = sources[index]
            level[node] = 0
            current[node] = start[node]
            claimed_by[node] = node
            wanting[node] = terminal[node]
            last_level[node] = node_count
            queue[filled] = node
            filled += 1
        taken = 0
        sink_seen = False
        while taken < filled:
            node = queue[taken]
            taken += 1
            root = claimed_by[node]
            if level[node] >= last_level[root]:
                continue
            for arc in range(start[node], start[node + 1]):
                other = head[arc]
                if capacity[arc] > 0 and level[other] < 0:
                    level[other] = level[node] + 1
                    current[other] = start[other]
                    claimed_by[other] = root
                    queue[filled] = other
                    filled += 1
                    if terminal[other] < 0:
                        sink_seen = True
                        if wanting[root] > 0:
                            wanting[root] += terminal[other]
                            if wanting[root] <= 0:
                                last_level[root] = level[other]
        if not sink_seen:
            for node in range(node_count):
                on_source_side[node] = level[node] >= 0
            return total

        remaining = 0
        for index in range(source_count):
            root = sources[index]
            node = root
            depth = 0
            brought[0] = terminal[root]
            left[0] = terminal[root]
            while True:
                if terminal[node] < 0:
                    amount = min(left[depth], -terminal[node])
                    terminal[node] += amount
                    left[depth] -= amount
                    total += amount
                advanced = False
                if left[depth] > 0:
                    while current[node] < start[node + 1]:
                        arc = current[node]
                        other = head[arc]
                        if capacity[arc] > 0 and level[other] == level[node] + 1:
                            depth += 1
                            path[depth] = arc
                            brought[depth] = min(left[depth - 1], capacity[arc])
                            left[depth] = brought[depth]
                            node = other
                            advanced = True
                            break
                        current[node] += 1
                if advanced:
                    continue
                if depth == 0:
                    break
                arc = path[depth]
                amount = brought[depth] - left[depth]
                exhausted = left[depth] > 0
                capacity[arc] -= amount
                capacity[reverse[arc]] += amount
                depth -= 1
                left[depth] -= amount
                node = head[reverse[arc]]
                if exhausted:
                    current[node] += 1
            terminal[root] = left[0]
            if left[0] > 0:
                sources[remaining] = root
                remaining += 1
        source_count = remaining
        for index in range(filled):
            level[queue[index]] = -1
