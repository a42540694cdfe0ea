"""How fast are our maximum flows, against C++, on real networks and on synthetic ones of up to 100,000 ops?

    OMP_NUM_THREADS=1 python -m benchmarks.decision.solver_kernels            # some minutes, most of them tracing
    OMP_NUM_THREADS=1 python -m benchmarks.decision.solver_kernels --quick    # two small networks, seconds

Three questions. Kernels: with arrays (ours) or the graph (PyMaxflow) ready, how long is the maximum flow alone? Prepared:
with new op costs, how long is a whole call, against pricing, rebuilding and solving PyMaxflow's graph? Sweep: what does it gain
to start each of a hundred bandwidths from the flow of the one before? All must find the same optimum.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import exp, log
from typing import Any

import maxflow
import numpy as np

from benchmarks.decision.sweep import sweep
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, to_problem
from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.harness.scaled_prices import scaled_prices
from benchmarks.harness.timing import interleaved_once
from benchmarks.harness.torchvision_zoo import ZOO, load
from benchmarks.peers import boykov_kolmogorov
from cic.decision.conditions import Conditions
from cic.decision.objective import weights
from mincut.implied_arcs import without_implied_arcs
from mincut.kernels import dinic
from mincut.network import Network, PricedNetwork, arc_costs, build, price, source_costs
from mincut.prepared import prepare
from mincut.problem import IntArray, Prices, Problem

QUICK = ("resnet18", "googlenet")
BANDWIDTHS_BPS = (1e6, 5e6, 2e7, 8e7, 3e8)
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
PREPARED_SIZES = (100, 400, 800)
# Ours, and what we would have taken without it.
OURS, OTHER = "dinic", "boykov_kolmogorov"
KERNELS: dict[str, Callable[..., int]] = {OURS: dinic.run, OTHER: boykov_kolmogorov.run}
PEER = "PyMaxflow"
GIVEN = "capacities given"


@dataclass(frozen=True)
class Subject:
    """A problem and where it comes from: "zoo" or "synthetic"."""

    name: str
    kind: str
    problem: Problem


def main() -> None:
    """Measure and publish."""
    options = _options()
    sizes = SIZES[:1] if options.quick else SIZES
    subjects = list(real_networks(QUICK if options.quick else ZOO)) + list(synthetic_networks(sizes))
    small = [Subject(f"blocks, {ops} ops", "synthetic", blocks(ops)) for ops in PREPARED_SIZES]
    zoo = [subject for subject in subjects if subject.kind == "zoo"]
    kernels = _each(subjects, time_kernels)
    prepared = _each(zoo + small, time_prepared)
    sweeps = _each(
        zoo + [subject for subject in subjects if subject.problem.op_count < 20_000 and subject.kind != "zoo"], time_sweep
    )
    report(kernels, prepared, sweeps).publish(options.results)


def real_networks(names: Sequence[str]) -> Iterator[Subject]:
    """Torchvision networks with random weights, all ops."""
    for name in names:
        yield Subject(name, "zoo", load(name).lowered.problem)


def synthetic_networks(sizes: Sequence[int]) -> Iterator[Subject]:
    """Chains of branching blocks, dense blocks and U-Nets."""
    for ops in sizes:
        for shape, make in (("blocks", blocks), ("dense", dense_blocks), ("U-Net", u_net)):
            yield Subject(f"{shape}, {ops:,} ops", "synthetic", make(ops))


def blocks(ops: int) -> Problem:
    """A chain of blocks with branches and skips."""
    return to_problem(network_shaped(random.Random(ops), ops))


def dense_blocks(ops: int, layers: int = 24) -> Problem:
    """Blocks of layers each of which reads all before it in the block, as in DenseNet."""
    readers: list[list[int]] = [[] for _ in range(ops)]
    for op in range(1, ops):
        first = (op - 1) // layers * layers
        for before in range(first, op):
            readers[before].append(op)
    return _priced(ops, readers, [400_000 // (1 + op * 6 // ops) for op in range(ops)])


def u_net(ops: int, levels: int = 6) -> Problem:
    """A chain down and up again; the last op of each level on the way down is also read on the way up."""
    readers = [[op + 1] for op in range(ops - 1)] + [[]]
    length = max(1, ops // (2 * levels))
    sizes = []
    for op in range(ops):
        step = min(op // length, 2 * levels - 1)
        level = min(step, 2 * levels - 1 - step)
        sizes.append(1_600_000 >> level)
        if op % length == length - 1 and step < levels - 1:
            readers[op].append((2 * levels - 1 - step) * length)
    return _priced(ops, readers, sizes)


def _priced(ops: int, readers: list[list[int]], sizes: list[int]) -> Problem:
    rng = random.Random(ops)
    device_ns = [rng.randint(10_000, 3_000_000) for _ in range(ops)]
    server_ns = [time // rng.randint(2, 20) if rng.random() < 0.95 else 2 * time for time in device_ns]
    tensors = [(-1, [0], 600_000, True)] + [(op, readers[op], sizes[op], True) for op in range(ops)]
    return to_problem(PlainProblem(device_ns, server_ns, [0] * (ops - 1) + [4000], [0] * ops, tensors))


def prices_at(network: Network, bandwidth_bps: float) -> Prices:
    """Integer prices at a bandwidth, 10 ms round trip."""
    return scaled_prices(network, weights(Conditions(bandwidth_bps, bandwidth_bps, 0.01)))


@dataclass(frozen=True)
class PymaxflowGraph:
    """A priced network as PyMaxflow takes it: one entry a pair of arcs, two terminal capacities a node.

    forward_bytes, backward_bytes: wire bytes, enormous for an infinite arc.
    """

    node_count: int
    tail: IntArray
    head: IntArray
    forward_bytes: IntArray
    backward_bytes: IntArray
    forward: IntArray
    backward: IntArray
    from_source: IntArray
    to_sink: IntArray

    def rebuilt(self) -> Any:
        """A fresh graph: it cannot be solved twice."""
        graph = maxflow.Graph[int](self.node_count, len(self.tail))
        nodes = graph.add_nodes(self.node_count)
        graph.add_edges(self.tail, self.head, self.forward, self.backward)
        graph.add_grid_tedges(nodes, self.from_source, self.to_sink)
        return graph


def pymaxflow_graph(priced: PricedNetwork) -> PymaxflowGraph:
    """Gather its arrays; not part of any time."""
    network = priced.network
    tails = np.repeat(np.arange(network.node_count), np.diff(network.start))
    pair_bytes = arc_costs(network.arc_tensor, network.problem.wire_bytes, 2**62)
    pair = np.flatnonzero(np.arange(len(network.reverse)) < network.reverse)
    return PymaxflowGraph(
        network.node_count,
        tails[pair],
        network.arc_head[pair],
        pair_bytes[pair],
        pair_bytes[network.reverse[pair]],
        priced.capacity[pair],
        priced.capacity[network.reverse[pair]],
        np.maximum(priced.terminal, 0),
        np.maximum(-priced.terminal, 0),
    )


def priced_plainly(
    graph: PymaxflowGraph, network: Network, prices: Prices, limit: int, device_ns: IntArray, server_ns: IntArray
) -> PymaxflowGraph:
    """The graph with capacities from new op costs, by as few passes of numpy as it takes and without a check.

    It gets the finite infinity for free. Only pins are left out: no network here has any.
    """
    problem, ops = network.problem, network.problem.op_count
    most = limit // prices.upload
    wire = np.minimum(graph.forward_bytes, most) * prices.upload
    wire_back = np.minimum(graph.backward_bytes, most) * prices.upload
    terminal = np.minimum(source_costs(network, problem.wire_bytes, 2**61), most) * prices.upload
    terminal[:ops] += server_ns * prices.server - device_ns * prices.device + problem.download_bytes * prices.download
    terminal[network.offload_node] = prices.offload
    return replace(
        graph, forward=wire, backward=wire_back, from_source=np.maximum(terminal, 0), to_sink=np.maximum(-terminal, 0)
    )


def time_kernels(subject: Subject) -> dict[str, Any]:
    """Seconds of the maximum flow alone, the geometric mean over the bandwidths."""
    network = build(subject.problem)
    side = np.zeros(network.node_count, dtype=np.bool_)
    seconds: dict[str, list[float]] = {name: [] for name in (*KERNELS, PEER)}
    for bandwidth_bps in BANDWIDTHS_BPS:
        priced = price(network, prices_at(network, bandwidth_bps))
        rebuilt = pymaxflow_graph(priced).rebuilt
        methods: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {PEER: (rebuilt, lambda graph: graph.maxflow())}
        for name, kernel in KERNELS.items():
            methods[name] = (partial(_copies, priced), partial(_run, kernel, network, side))
        _same({name: run(ready()) for name, (ready, run) in methods.items()}, subject.name)
        for name, median_s in interleaved_once(_rounds(subject), methods).items():
            seconds[name].append(median_s)
    return {**_described(subject, network), "seconds": {name: _mean(times) for name, times in seconds.items()}}


def _copies(priced: PricedNetwork) -> tuple[IntArray, IntArray]:
    return priced.capacity.copy(), priced.terminal.copy()


def _run(kernel: Callable[..., int], network: Network, side: Any, copies: tuple[IntArray, IntArray]) -> int:
    return kernel(network.start, network.arc_head, network.reverse, *copies, side)


def time_prepared(subject: Subject) -> dict[str, Any]:
    """Seconds of a whole call with new op costs, and of PyMaxflow on the same graph, priced by numpy or for free."""
    problem, rng = subject.problem, np.random.default_rng(0)
    prepared, network = prepare(problem), build(problem)
    seconds: dict[str, list[float]] = {"prepared": [], PEER: [], GIVEN: []}
    for bandwidth_bps in BANDWIDTHS_BPS:
        device_ns = (problem.device_ns * rng.uniform(0.5, 2, problem.op_count)).astype(np.int64)
        server_ns = (problem.server_ns * rng.uniform(0.5, 2, problem.op_count)).astype(np.int64)
        changed = Problem(**{**vars(problem), "device_ns": device_ns, "server_ns": server_ns})
        other = build(changed)
        prices = prices_at(other, bandwidth_bps)
        priced = price(other, prices)
        graph = pymaxflow_graph(priced)
        plainly = partial(priced_plainly, graph, other, prices, priced.limit)
        methods: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
            "prepared": (lambda: None, lambda _, a=device_ns, b=server_ns, p=prices: prepared.solve(a, b, p)[1]),
            PEER: (lambda: None, lambda _, a=device_ns, b=server_ns, plainly=plainly: plainly(a, b).rebuilt().maxflow()),
            GIVEN: (lambda: None, lambda _, graph=graph: graph.rebuilt().maxflow()),
        }
        constant = {"prepared": 0, PEER: priced.constant, GIVEN: priced.constant}
        _same({name: run(ready()) + constant[name] for name, (ready, run) in methods.items()}, subject.name)
        for name, median_s in interleaved_once(_rounds(subject), methods).items():
            seconds[name].append(median_s)
    return {
        **_described(subject, network),
        "seconds": {name: _mean(times) for name, times in seconds.items()},
        "worst_s": max(seconds["prepared"]),
    }


def time_sweep(subject: Subject) -> dict[str, Any]:
    """Seconds per minimum cut over 100 bandwidths, from zero each time and along a sweep."""
    problem = subject.problem
    prepared, network = prepare(problem), without_implied_arcs(build(problem))
    bandwidths_bps = np.geomspace(5e4, 1e10, 100).tolist()
    device = prices_at(network, bandwidths_bps[0]).device
    conditions = [
        Prices(*(round(weight * device) for weight in weights(Conditions(bandwidth_bps, bandwidth_bps, 0.01))))
        for bandwidth_bps in bandwidths_bps
    ]

    def from_zero(_: object) -> list[int]:
        return [prepared.solve(problem.device_ns, problem.server_ns, prices)[1] for prices in conditions]

    def along(_: object) -> list[int]:
        return [cost for _, cost in sweep(network, conditions)]

    _same({"from zero": from_zero(None), "sweep": along(None)}, subject.name)
    methods = {"from zero": (lambda: None, from_zero), "sweep": (lambda: None, along)}
    taken = interleaved_once(31 if problem.op_count < 2000 else 7, methods)
    return {**_described(subject, network), "seconds": {name: median_s / len(conditions) for name, median_s in taken.items()}}


Rows = list[dict[str, Any]]


def report(kernels: Rows, prepared: Rows, sweeps: Rows) -> Report:
    """Tables, and what was promised."""
    return Report(
        "solver_kernels",
        "Maximum flows in numba against C++",
        [_kernel_table(kernels), _prepared_table(prepared), _sweep_table(sweeps)],
        _targets(kernels, prepared, sweeps),
        {"kernels": kernels, "prepared": prepared, "sweeps": sweeps},
    )


def _halves(kernels: Rows) -> tuple[Rows, Rows]:
    """Rows of real networks, and the others."""
    return [row for row in kernels if row["kind"] == "zoo"], [row for row in kernels if row["kind"] != "zoo"]


def _kernel_table(kernels: Rows) -> Section:
    columns = (*KERNELS, PEER)
    (zoo, large), uplinks = _halves(kernels), ", ".join(f"{bps / 1e6:g}" for bps in BANDWIDTHS_BPS)
    ours, other = ([f"{_mean_ratio(rows, name, PEER):.2f}" for rows in (zoo, large)] for name in (OURS, OTHER))
    note = (
        f"Each time is the geometric mean over uplinks of {uplinks} Mbit/s of medians. Geometric mean of the ratio: zoo "
        f"{ours[0]}, synthetic {ours[1]}; of {OTHER} / {PEER}: {other[0]} and {other[1]}. The product uses {OURS}."
    )
    return Section(
        "Maximum flow alone: arrays or graph ready",
        ("", "ops", "nodes", "arcs", *columns, f"{OURS} / {PEER}"),
        [_row(row, columns, OURS, PEER) for row in kernels],
        (note,),
    )


def _prepared_table(prepared: Rows) -> Section:
    note = (
        f"{PEER}: capacities from op costs by eight passes of numpy without a check, graph rebuilt, solved. "
        "Capacities given: the graph rebuilt from finished arrays, solved. "
        "Ours checks, prices and solves, without implied arcs. "
        f"Geometric mean of the ratio: {_mean_ratio(prepared, 'prepared', PEER):.2f}; to capacities given: "
        f"{_mean_ratio(prepared, 'prepared', GIVEN):.2f}."
    )
    return Section(
        "New op costs: a whole call, all ops",
        ("", "ops", "nodes", "arcs", "prepared", PEER, f"{PEER}, {GIVEN}", f"prepared / {PEER}"),
        [_row(row, ("prepared", PEER, GIVEN), "prepared", PEER) for row in prepared],
        (note,),
    )


def _sweep_table(sweeps: Rows) -> Section:
    gain = _mean_ratio(sweeps, "from zero", "sweep")
    return Section(
        "A sweep over 100 uplinks from 50 kbit/s to 10 Gbit/s: time per minimum cut",
        ("", "ops", "nodes", "arcs", "from zero", "sweep", "from zero / sweep"),
        [_row(row, ("from zero", "sweep"), "from zero", "sweep") for row in sweeps],
        (f"Geometric mean of the gain: {gain:.2f}. From zero: `PreparedProblem.solve`; sweep: `decision/sweep.py`.",),
    )


def _targets(kernels: Rows, prepared: Rows, sweeps: Rows) -> list[Target]:
    over_zoo, gain = _mean_ratio(_halves(kernels)[0], OURS, PEER), _mean_ratio(sweeps, "from zero", "sweep")
    worst_s = max(row["worst_s"] for row in prepared if row["ops"] <= 820)
    slowest = max(row["seconds"]["prepared"] / row["seconds"][PEER] for row in prepared)
    return [
        Target(
            "full graph within 1.5 × of PyMaxflow's solve, geometric mean over the zoo", f"{over_zoo:.2f} ×", over_zoo <= 1.5
        ),
        Target("new op costs in 60 µs for up to 800 ops", f"{show_time(worst_s)} at worst", worst_s <= 60e-6),
        Target("and faster than PyMaxflow's rebuild and solve for each network", f"{slowest:.2f} × at worst", slowest < 1),
        Target("a sweep gains 1.5 ×, geometric mean", show_ratio(gain), gain >= 1.5),
    ]


def _row(measured: dict[str, Any], columns: Sequence[str], over: str, under: str) -> tuple[str, ...]:
    seconds = measured["seconds"]
    sizes = (f"{measured[size]:,}" for size in ("ops", "nodes", "arcs"))
    return (measured["name"], *sizes, *(show_time(seconds[name]) for name in columns), f"{seconds[over] / seconds[under]:.2f}")


def _described(subject: Subject, network: Network) -> dict[str, Any]:
    return {
        "name": subject.name,
        "kind": subject.kind,
        "ops": subject.problem.op_count,
        "nodes": network.node_count,
        "arcs": len(network.arc_head),
    }


def _each(subjects: list[Subject], measure: Callable[[Subject], dict[str, Any]]) -> list[dict[str, Any]]:
    measured = []
    for subject in subjects:
        measured.append(measure(subject))
        shown = {name: show_time(seconds) for name, seconds in measured[-1]["seconds"].items()}
        print(measure.__name__, subject.name, shown, flush=True)
    return measured


def _rounds(subject: Subject) -> int:
    ops = subject.problem.op_count
    return 101 if ops <= 1000 else 21 if ops <= 10_000 else 7


def _same(values: dict[str, Any], name: str) -> None:
    if any(value != next(iter(values.values())) for value in values.values()):
        raise SystemExit(f"{name}: the methods disagree: {values}")


def _mean(values: Sequence[float]) -> float:
    return exp(sum(log(value) for value in values) / len(values))


def _mean_ratio(rows: list[dict[str, Any]], over: str, under: str) -> float:
    return _mean([row["seconds"][over] / row["seconds"][under] for row in rows])


def _options() -> argparse.Namespace:
    return shared_options(__doc__, "two small networks and one size").parse_args()


if __name__ == "__main__":
    main()
