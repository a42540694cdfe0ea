"""Other people's flow solvers on our formulation, each in the fastest way it can be asked again for another bandwidth.

Each function makes the solver ready once and returns `solve(prices)`, which rebuilds what must be rebuilt and returns the
value of the minimum cut. Reading the placement off the cut is not asked for, to the advantage of these solvers.
"""

from __future__ import annotations

from collections.abc import Callable

import igraph
import maxflow
import networkx as nx
import numpy as np
from networkx.algorithms import flow as networkx_flow
from networkx.algorithms.flow.utils import build_residual_network
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from benchmarks.peers.formulation import Array, Capacities, Formulation
from mincut.problem import Prices

Solve = Callable[[Prices], float]
NETWORKX_ALGORITHMS = ("preflow_push", "boykov_kolmogorov", "dinitz")
SCIPY_BITS = 30


def networkx(formulation: Formulation, infinite: int, algorithm: str) -> Solve:
    """Integer capacities, written into a residual network that is built once; only what a bandwidth changes is written."""
    run = getattr(networkx_flow, algorithm)
    problem, source, sink = formulation.problem, "device", "server"
    ready = formulation.capacities(Prices(1, 1, 1, 1, 1), infinite)
    graph = nx.DiGraph()
    graph.add_nodes_from([source, sink])
    arcs = [(source, node) for node in range(formulation.node_count)]
    arcs += [(node, sink) for node in range(problem.op_count)]
    tails, heads = formulation.tail.tolist(), formulation.head.tolist()
    arcs += list(zip(tails, heads, strict=True)) + list(zip(heads, tails, strict=True))
    used = np.flatnonzero(_in_order(ready, problem.op_count) > 0)
    graph.add_edges_from((*arcs[index], {"capacity": 1}) for index in used)
    residual = build_residual_network(graph, "capacity")
    residual.graph["inf"] = 4 * infinite
    attributes = [residual[arcs[index][0]][arcs[index][1]] for index in used]
    written = np.full(len(used), -1, dtype=np.int64)

    def solve(prices: Prices) -> int:
        capacity = _in_order(formulation.capacities(prices, infinite), problem.op_count)[used]
        changed = np.flatnonzero(capacity != written)
        for index, value in zip(changed.tolist(), capacity[changed].tolist(), strict=True):
            attributes[index]["capacity"] = value
        written[changed] = capacity[changed]
        options = {"value_only": True} if algorithm == "preflow_push" else {}
        return int(run(graph, source, sink, residual=residual, **options).graph["flow_value"])

    return solve


def networkx_minimum_cut(formulation: Formulation, infinite: int) -> Solve:
    """The documented call on a ready graph: capacities that changed are written, the cut comes back with the value."""
    tails, heads, pick = _directed(formulation, infinite)
    source, sink = formulation.node_count, formulation.node_count + 1
    graph = nx.DiGraph()
    graph.add_edges_from(zip(tails.tolist(), heads.tolist(), strict=True))
    attributes = [graph[tail][head] for tail, head in zip(tails.tolist(), heads.tolist(), strict=True)]
    written = np.full(len(attributes), -1, dtype=np.int64)

    def solve(prices: Prices) -> int:
        capacity = pick(prices)
        changed = np.flatnonzero(capacity != written)
        for index, value in zip(changed.tolist(), capacity[changed].tolist(), strict=True):
            attributes[index]["capacity"] = value
        written[changed] = capacity[changed]
        value, _ = nx.minimum_cut(graph, source, sink, flow_func=networkx_flow.preflow_push)
        return int(value)

    return solve


def scipy(formulation: Formulation, infinite: int) -> Solve:
    """Dinic on a sparse matrix whose structure stays; capacities are shifted to fit into 32 bits, all that it can hold."""
    rows, columns, pick = _directed(formulation, infinite)
    size = formulation.node_count + 2
    order = csr_array((np.arange(1, len(rows) + 1), (rows, columns)), shape=(size, size))
    order.sort_indices()
    place = order.data - 1
    matrix = csr_array((np.zeros(len(rows), dtype=np.int32), order.indices, order.indptr), shape=(size, size))
    shift = max(0, infinite.bit_length() - SCIPY_BITS)
    half = (1 << shift) >> 1

    def solve(prices: Prices) -> int:
        matrix.data = ((pick(prices)[place] + half) >> shift).astype(np.int32)
        return int(maximum_flow(matrix, size - 2, size - 1, method="dinic").flow_value) << shift

    return solve


def python_igraph(formulation: Formulation, infinite: int) -> Solve:
    """Push-relabel in C, on a ready graph; capacities are doubles, exact below 2^53."""
    rows, columns, pick = _directed(formulation, infinite)
    size = formulation.node_count + 2
    graph = igraph.Graph(n=size, edges=np.stack([rows, columns], axis=1).tolist(), directed=True)

    def solve(prices: Prices) -> float:
        return float(graph.maxflow_value(size - 2, size - 1, capacity=pick(prices).tolist()))

    return solve


def pymaxflow(formulation: Formulation, infinite: int | None = None) -> Solve:
    """Boykov-Kolmogorov in C++ with 64-bit integers; the graph is built anew from arrays, as its interface wants."""
    build = pymaxflow_graph(formulation, infinite)

    def solve(prices: Prices) -> int:
        return int(build(prices).maxflow())

    return solve


def pymaxflow_graph(formulation: Formulation, infinite: int | None = None) -> Callable[..., maxflow.GraphInt]:
    """The graph alone, not solved yet; `infinite` may also come with the prices."""
    nodes = np.arange(formulation.node_count)

    def build(prices: Prices, infinite: int | None = infinite) -> maxflow.GraphInt:
        capacities = formulation.capacities(prices, infinite)
        graph = maxflow.GraphInt(formulation.node_count, len(formulation.tail))
        graph.add_nodes(formulation.node_count)
        graph.add_edges(formulation.tail, formulation.head, capacities.forward, capacities.backward)
        graph.add_grid_tedges(nodes, capacities.from_source, capacities.to_sink)
        return graph

    return build


def pseudoflow(formulation: Formulation, infinite: int) -> Solve:
    """Hochbaum's pseudoflow in C, handed an array directly rather than a networkx graph; ImportError if not installed."""
    from ctypes import POINTER, byref, c_double, c_int

    from pseudoflow.python import hpf

    rows, columns, pick = _directed(formulation, infinite)
    size = formulation.node_count + 2
    # Its arcs are rows of (tail, head, capacity, multiple of a parameter that stays zero here); source first, sink last.
    number = np.concatenate([np.arange(1, size - 1), [0, size - 1]])
    matrix = np.zeros((len(rows), 4))
    matrix[:, 0], matrix[:, 1] = number[rows], number[columns]
    run = hpf.libhpf.hpf_solve
    tails, heads = rows, columns

    def solve(prices: Prices) -> float:
        capacity = pick(prices)
        matrix[:, 2] = capacity
        count, cuts, points = c_int(0), POINTER(c_int)(), POINTER(c_double)()
        stats, times = (c_int * 5)(), (c_double * 3)()
        run(
            c_int(size), c_int(len(matrix)), c_int(0), c_int(size - 1),
            matrix.ctypes.data_as(POINTER(c_double)), (c_double * 2)(0.0, 0.0), c_int(0),
            byref(count), byref(cuts), byref(points), stats, times,
        )  # fmt: skip
        side = np.ctypeslib.as_array(cuts, shape=(size,))[number] > 0
        value = float(capacity[side[tails] & ~side[heads]].sum())
        hpf.libhpf.libfree(cuts)
        hpf.libhpf.libfree(points)
        return value

    return solve


def _in_order(capacities: Capacities, op_count: int) -> Array:
    """Source arcs of all nodes, sink arcs of ops, forward arcs, backward arcs."""
    return np.concatenate([capacities.from_source, capacities.to_sink[:op_count], capacities.forward, capacities.backward])


def _directed(formulation: Formulation, infinite: int) -> tuple[Array, Array, Callable[[Prices], Array]]:
    """Arcs that can carry anything, as tails and heads (source and sink last), and their capacities for given prices."""
    nodes, ops = np.arange(formulation.node_count), formulation.problem.op_count
    source, sink = formulation.node_count, formulation.node_count + 1
    tails = np.concatenate([np.full(len(nodes), source), nodes[:ops], formulation.tail, formulation.head])
    heads = np.concatenate([nodes, np.full(ops, sink), formulation.head, formulation.tail])
    ready = _in_order(formulation.capacities(Prices(1, 1, 1, 1, 1), infinite), ops)
    used = np.flatnonzero(ready > 0)

    def pick(prices: Prices) -> Array:
        return _in_order(formulation.capacities(prices, infinite), ops)[used]

    return tails[used], heads[used], pick
