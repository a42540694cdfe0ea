"""A second truth for larger problems: networkx on its own network, integer capacities.

Traps it avoids: float capacities (wrong partitions), a missing capacity (means infinite there).
"""

from __future__ import annotations

import networkx as nx
from networkx.algorithms.flow import boykov_kolmogorov

from benchmarks.harness.plain_problem import PlainProblem


def cheapest(problem: PlainProblem, prices: tuple[int, ...]) -> int:
    """Cost of the cheapest allowed placement; a value of `forbidden` or more means that there is none."""
    device, server, upload, download, offload = prices
    forbidden = forbidden_cost(problem, prices)
    graph = nx.DiGraph()
    graph.add_nodes_from(["device", "server"])

    def arc(tail: object, head: object, capacity: int) -> None:
        if graph.has_edge(tail, head):
            graph[tail][head]["capacity"] += capacity
        else:
            graph.add_edge(tail, head, capacity=capacity)

    for op in range(problem.op_count):
        pin = problem.pinned[op]
        arc("device", op, forbidden if pin == 1 else server * problem.server_ns[op] + download * problem.download_bytes[op])
        arc(op, "server", forbidden if pin == 2 else device * problem.device_ns[op])
        arc("any", op, forbidden)
    arc("device", "any", offload)
    for index, (producer, readers, size, may_cross) in enumerate(problem.tensors):
        source = "device" if producer < 0 else producer
        arc(source, ("tensor", index), upload * size if may_cross else forbidden)
        for reader in readers:
            arc(("tensor", index), reader, forbidden)
            if producer >= 0:
                arc(reader, producer, forbidden)
    value, _ = nx.minimum_cut(graph, "device", "server", flow_func=boykov_kolmogorov)
    return int(value)


def forbidden_cost(problem: PlainProblem, prices: tuple[int, ...]) -> int:
    """More than any placement costs."""
    device, server, upload, download, offload = prices
    return 1 + (
        device * sum(problem.device_ns)
        + server * sum(problem.server_ns)
        + upload * sum(size for _, _, size, _ in problem.tensors)
        + download * sum(problem.download_bytes)
        + offload
    )
