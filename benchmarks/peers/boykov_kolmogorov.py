"""Augmenting paths along two search trees (Boykov & Kolmogorov, PAMI 26, 2004), with marked distances (Kolmogorov 2004).

Closed file: no call leaves it, because a cached numba kernel does not notice a change in a callee elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FREE, ROOT, ORPHAN = -1, -2, -3
FAR = 2**62


@njit(cache=True)
def _augment(bridge, head, reverse, capacity, terminal, parent, orphans):  # type: ignore[no-untyped-def]
    """Send what fits from root to root over the arc `bridge`; nodes cut off go in front of the ring of orphans.

    Returns:
        The amount, and where in the ring (which ends at 0) the orphans begin.
    """
    ring = len(orphans)
    upper = head[reverse[bridge]]
    lower = head[bridge]
    amount = capacity[bridge]
    step = upper
    while parent[step] != ROOT:
        amount = min(amount, capacity[reverse[parent[step]]])
        step = head[parent[step]]
    amount = min(amount, terminal[step])
    step = lower
    while parent[step] != ROOT:
        amount = min(amount, capacity[parent[step]])
        step = head[parent[step]]
    amount = min(amount, -terminal[step])
    capacity[bridge] -= amount
    capacity[reverse[bridge]] += amount
    first = 0
    step = upper
    while parent[step] != ROOT:
        arc = parent[step]
        capacity[arc] += amount
        capacity[reverse[arc]] -= amount
        if capacity[reverse[arc]] == 0:
            parent[step] = ORPHAN
            first = first - 1 if first > 0 else ring - 1
            orphans[first] = step
        step = head[arc]
    terminal[step] -= amount
    if terminal[step] == 0:
        parent[step] = ORPHAN
        first = first - 1 if first > 0 else ring - 1
        orphans[first] = step
    step = lower
    while parent[step] != ROOT:
        arc = parent[step]
        capacity[arc] -= amount
        capacity[reverse[arc]] += amount
        if capacity[arc] == 0:
            parent[step] = ORPHAN
            first = first - 1 if first > 0 else ring - 1
            orphans[first] = step
        step = head[arc]
    terminal[step] += amount
    if terminal[step] == 0:
        parent[step] = ORPHAN
        first = first - 1 if first > 0 else ring - 1
        orphans[first] = step
    return amount, first


@njit(cache=True)
def _distance_to_root(node, now, head, parent, mark, distance):  # type: ignore[no-untyped-def]
    """How far a node hangs below a root, or FAR if an orphan is in between."""
    far = 0
    step = node
    while mark[step] != now:
        up = parent[step]
        far += 1
        if up == ROOT:
            mark[step] = now
            distance[step] = 1
            return far
        if up == ORPHAN:
            return FAR
        step = head[up]
    return far + distance[step]


@njit(cache=True)
def run(start, head, reverse, capacity, terminal, on_source_side):  # type: ignore[no-untyped-def]
    """Maximum flow from all nodes with terminal > 0 to all nodes with terminal < 0.

    Args:
        start: int64[N + 1]; head, reverse: int64[A]; see `mincut.network.Network`.
        capacity: int64[A], terminal: int64[N]; residual, changed in place.
        on_source_side: bool[N], filled with the smallest source side of a minimum cut.

    Returns:
        The flow value.

    Two trees of residual arcs grow, one from the sources and one towards the sinks. Where they touch, a path is augmented;
    nodes whose arc to the parent is saturated become orphans and look for a new parent in their tree, else they are free.
    Every node is either idle, with no residual arc that leaves its tree, or waits in `queue`; so in the end the tree of the
    sources is all that the sources reach.
    """
    node_count = len(terminal)
    # The arc from a node to its parent, whichever way the flow goes, or FREE, ROOT, ORPHAN.
    parent = np.full(node_count, FREE, dtype=np.int64)
    from_source = np.zeros(node_count, dtype=np.bool_)
    # distance[v] to the root of v's tree was right at the time of mark[v].
    mark = np.zeros(node_count, dtype=np.int64)
    distance = np.zeros(node_count, dtype=np.int64)
    # Rings: a node stands at most once in each.
    queue = np.empty(node_count + 1, dtype=np.int64)
    waiting = np.zeros(node_count, dtype=np.bool_)
    orphans = np.empty(node_count + 1, dtype=np.int64)
    ring = node_count + 1
    taken = 0
    filled = 0
    for node in range(node_count):
        if terminal[node] != 0:
            parent[node] = ROOT
            from_source[node] = terminal[node] > 0
            distance[node] = 1
            waiting[node] = True
            queue[filled] = node
            filled += 1
    total = 0
    now = 0
    node = -1
    while True:
        if node < 0 or parent[node] == FREE:
            node = -1
            while taken != filled:
                candidate = queue[taken]
                taken = taken + 1 if taken + 1 < ring else 0
                waiting[candidate] = False
                if parent[candidate] != FREE:
                    node = candidate
                    break
            if node < 0:
                break
        bridge = -1
        forwards = from_source[node]
        for arc in range(start[node], start[node + 1]):
            along = arc if forwards else reverse[arc]
            if capacity[along] == 0:
                continue
            other = head[arc]
            if parent[other] == FREE:
                from_source[other] = forwards
                parent[other] = reverse[arc]
                mark[other] = mark[node]
                distance[other] = distance[node] + 1
                if not waiting[other]:
                    waiting[other] = True
                    queue[filled] = other
                    filled = filled + 1 if filled + 1 < ring else 0
            elif from_source[other] != forwards:
                bridge = along
                break
            elif mark[other] <= mark[node] and distance[other] > distance[node]:
                # A shorter way to the root.
                parent[other] = reverse[arc]
                mark[other] = mark[node]
                distance[other] = distance[node] + 1
        now += 1
        if bridge < 0:
            node = -1
            continue

        # Augment: `node` stays the one to grow from, as it may have more to give.
        amount, first = _augment(bridge, head, reverse, capacity, terminal, parent, orphans)
        total += amount
        last = 0

        # Adopt: nearest orphans to the roots first, so that their children find them settled.
        while first != last:
            orphan = orphans[first]
            first = first + 1 if first + 1 < ring else 0
            forwards = from_source[orphan]
            best = -1
            nearest = FAR
            for arc in range(start[orphan], start[orphan + 1]):
                towards = reverse[arc] if forwards else arc
                if capacity[towards] == 0:
                    continue
                other = head[arc]
                if from_source[other] != forwards or parent[other] == FREE:
                    continue
                far = _distance_to_root(other, now, head, parent, mark, distance)
                if far == FAR:
                    continue
                if far < nearest:
                    nearest = far
                    best = arc
                step = other
                while mark[step] != now:
                    mark[step] = now
                    distance[step] = far
                    far -= 1
                    step = head[parent[step]]
            if best >= 0:
                parent[orphan] = best
                mark[orphan] = now
                distance[orphan] = nearest + 1
                continue
            parent[orphan] = FREE
            for arc in range(start[orphan], start[orphan + 1]):
                other = head[arc]
                up = parent[other]
                if up == FREE or from_source[other] != forwards:
                    continue
                towards = reverse[arc] if forwards else arc
                if capacity[towards] > 0 and not waiting[other]:
                    waiting[other] = True
                    queue[filled] = other
                    filled = filled + 1 if filled + 1 < ring else 0
                if up >= 0 and head[up] == orphan:
                    parent[other] = ORPHAN
                    orphans[last] = other
                    last = last + 1 if last + 1 < ring else 0
    for node in range(node_count):
        on_source_side[node] = parent[node] != FREE and from_source[node]
    return total
