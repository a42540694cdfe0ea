"""What does one decision cost? Eleven networks, every solver in one run, in turn.

    python -m benchmarks.decision.decision_time            # about five minutes
    python -m benchmarks.decision.decision_time --quick    # two small networks, seconds

Every method answers the same question: which cut is best at this bandwidth. Flow solvers get our formulation with integer
capacities, keep all they can between calls and rebuild only what a new bandwidth changes; their placement is not even read
off. All but DADS, which has its own capacities, must find the same optimum, or the run stops.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.decision.decision_tables import UNCERTAINTY, report
from benchmarks.decision.pricing import Numbers, draw, prices
from benchmarks.harness.report import shared_options, show_time
from benchmarks.harness.timing import Call, interleaved, interleaved_once, ratio
from benchmarks.harness.torchvision_zoo import DEVICE, SERVER, ZOO, ZooModel, load
from benchmarks.peers import solvers
from benchmarks.peers.dads import dads, flowback
from benchmarks.peers.formulation import Formulation, features, formulate
from benchmarks.peers.two_stage import two_stage
from cic.compilation.lowering import lower
from cic.cost import pricing
from compress.reduction import Reduction
from mincut.network import build, price
from mincut.prepared import PreparedProblem, prepare
from mincut.problem import IntArray, Prices
from mincut.solver import flow_kernel

QUICK = ("resnet18", "googlenet")
TOTAL = 2**50  # what everything on the device costs, in integers: exact in doubles
TOLERANCE = {"SciPy": 1e-5}  # 32 bits


def main() -> None:
    """Measure and publish."""
    options = _options()
    names = options.models or (QUICK if options.quick else ZOO)
    rounds = 3 if options.quick else 25
    measured = {}
    for name in names:
        measured[name] = measure(load(name), rounds)
        print(name, {method: show_time(seconds) for method, seconds in measured[name]["seconds"].items()}, flush=True)
    report(measured).publish(options.results)


def measure(model: ZooModel, rounds: int) -> dict[str, Any]:
    """All methods on one network; ratios are medians over rounds."""
    rng = random.Random(model.name)
    question = Question(model)
    conditions = [question.default(draw(rng)[0]) for _ in range(rounds)]
    fives = [draw(rng) for _ in range(rounds)]
    everywhere = [question.calls(numbers, five, rng) for numbers, five in zip(conditions, fives, strict=True)]
    optimum = [question.agreed(numbers) for numbers in conditions]
    taken = interleaved(everywhere)
    seconds = {method: median(times) for method, times in taken.items()}
    best = min((name for name in taken if name.startswith("networkx kept")), key=lambda name: seconds[name])
    for name in [name for name in taken if name.startswith("networkx kept") and name != best]:
        del seconds[name]
    seconds["networkx kept"], taken["networkx kept"] = seconds.pop(best), taken[best]
    return {
        "ops": question.problem.op_count,
        "unfused_ops": question.unfused_ops,
        "nodes": question.formulation.node_count,
        "compressed_ops": question.compressed.problem.op_count,
        "cuts": len(model.splitting_model.cuts),
        "networkx_best": best.removeprefix("networkx kept "),
        "seconds": seconds,
        "over_decide": {name: ratio(taken[name], taken["decide(float)"]) for name in seconds},
        "new_costs_under_pymaxflow": ratio(taken["PyMaxflow"], taken["new op costs"]),
        "kernel": question.kernel_times(conditions),
        "largest_disagreement": max(optimum),
        "dads": question.dads_quality(rng, 20 * rounds),
    }


class Question:
    """One network, ready for every method."""

    def __init__(self, model: ZooModel) -> None:
        self.model = model
        self.problem = model.lowered.problem
        self.formulation: Formulation = formulate(self.problem)
        device_total = int(self.problem.device_ns.sum())
        self.scale = TOTAL / device_total
        self.infinite = round(self.scale) * device_total + 1
        self.full = prepare(self.problem)
        exact, robust = model.compressed(), model.compressed(UNCERTAINTY)
        self.compressed: Reduction = exact
        self.small = prepare(exact.problem)
        self.robust = Recosted(robust)
        self.dads = dads(self.problem)
        self.others = self._others()
        self.unfused = self._unfused()

    def _others(self) -> dict[str, solvers.Solve]:
        known = (self.formulation, self.infinite)
        ready = {f"networkx kept {name}": solvers.networkx(*known, name) for name in solvers.NETWORKX_ALGORITHMS}
        ready["networkx minimum_cut"] = solvers.networkx_minimum_cut(*known)
        ready |= {"SciPy": solvers.scipy(*known), "igraph": solvers.python_igraph(*known)}
        ready["PyMaxflow"] = solvers.pymaxflow(*known)
        try:
            ready["pseudoflow"] = solvers.pseudoflow(*known)
        except ImportError:
            print("pseudoflow is not installed: left out")
        ready["two stages"] = two_stage(self.problem, self.infinite)
        return ready

    def _unfused(self) -> dict[str, solvers.Solve]:
        """The graph as traced, before convolution, batch norm and activation become one op: what others would solve."""
        graph = self.model.traced.unfused
        known = formulate(
            lower(graph, pricing.price(graph, pricing.resolve(DEVICE)), pricing.price(graph, pricing.resolve(SERVER))).problem
        )
        self.unfused_ops = known.problem.op_count
        infinite = round(self.scale) * int(known.problem.device_ns.sum()) + 1
        return {
            "networkx unfused": solvers.networkx_minimum_cut(known, infinite),
            "PyMaxflow unfused": solvers.pymaxflow(known, infinite),
        }

    def default(self, uplink_bps: float) -> Numbers:
        """What `decide` assumes when it is told the bandwidth alone."""
        return self.model.splitting_model.default_conditions(uplink_bps).numbers

    def prices(self, numbers: Numbers) -> Prices:
        """Integer prices with the op times unscaled, as all that varies is the bandwidth."""
        return prices(numbers, round(self.scale))

    def calls(self, numbers: Numbers, five: Numbers, rng: random.Random) -> Mapping[str, Call]:
        """What each method does for these conditions."""
        at, uplink, model, problem = self.prices(numbers), numbers[0], self.model.splitting_model, self.problem
        uplink_bps, downlink_bps, rtt_s, device_slowdown, server_slowdown = five
        device_ns, server_ns = (_changed(times, rng) for times in (problem.device_ns, problem.server_ns))
        expected, found = self.full.solve(device_ns, server_ns, at)[1], self.robust.solve(device_ns, server_ns, at)[1]
        _agree(self.model.name, "new op costs", found, expected, 0)

        return {
            **{name: partial(solve, at) for name, solve in (self.others | self.unfused).items()},
            "DADS": partial(self.dads.cut, at, self.infinite),
            "full graph": partial(self.full.solve, problem.device_ns, problem.server_ns, at),
            "compressed": partial(self.small.solve, self.small.problem.device_ns, self.small.problem.server_ns, at),
            "new op costs": partial(self.robust.solve, device_ns, server_ns, at),
            "decide(float)": partial(model.decide, uplink),
            "decide(five)": partial(model.decide, uplink_bps, rtt_s, downlink_bps, device_slowdown, server_slowdown),
        }

    def agreed(self, numbers: Numbers) -> float:
        """Stop unless all methods find one optimum; how far `decide` is above it, relatively (rounding of prices)."""
        at, name = self.prices(numbers), self.model.name
        expected = self.full.solve(self.problem.device_ns, self.problem.server_ns, at)[1]
        one, other = (solve(at) for solve in self.unfused.values())
        _agree(name, "PyMaxflow unfused", other, one, 0)
        for method, solve in self.others.items():
            _agree(name, method, solve(at), expected, TOLERANCE.get(method, 1e-9))
        small = self.small.problem
        _agree(name, "compressed", self.small.solve(small.device_ns, small.server_ns, at)[1], expected, 0)
        cut = self.model.splitting_model.decide(numbers[0]).cut
        cost = sum(amount * unit for amount, unit in zip(cut.features, at, strict=True))
        _agree(name, "decide(float)", cost, expected, 1e-7)
        return cost / expected - 1

    def kernel_times(self, conditions: list[Numbers]) -> dict[str, float]:
        """Seconds for the maximum flow alone: our arrays ready, PyMaxflow's graph ready."""
        network = build(self.problem)
        run = flow_kernel()
        graph_for = solvers.pymaxflow_graph(self.formulation, self.infinite)
        side = np.zeros(network.node_count, dtype=np.bool_)
        ours, theirs = [], []
        for numbers in conditions:
            priced, at = price(network, self.prices(numbers)), self.prices(numbers)
            times = interleaved_once(
                31,
                {
                    "ours": (
                        lambda priced=priced: (priced.capacity.copy(), priced.terminal.copy()),
                        lambda ready: run(network.start, network.arc_head, network.reverse, *ready, side),
                    ),
                    "theirs": (lambda at=at: graph_for(at), lambda graph: graph.maxflow()),
                },
            )
            ours.append(times["ours"])
            theirs.append(times["theirs"])
        return {"ours_s": median(ours), "pymaxflow_s": median(theirs), "ratio": ratio(ours, theirs)}

    def dads_quality(self, rng: random.Random, draws: int) -> dict[str, float]:
        """How often the cut of the literal capacities cannot be run, and how often it is slower."""
        back = flowback(self.problem)
        infeasible = worse = 0
        excess = []
        for _ in range(draws):
            numbers = self.default(draw(rng)[0])
            at = self.prices(numbers)
            side = self.dads.cut(at, self.infinite)
            expected = self.full.solve(self.problem.device_ns, self.problem.server_ns, at)[1]
            used = features(self.problem, side)
            cost = sum(amount * unit for amount, unit in zip(used, at, strict=True)) + back.bytes(side) * at.download
            infeasible += back.any(side)
            worse += not back.any(side) and cost > expected * (1 + 1e-7)
            excess.append(cost / expected)
        return {"infeasible": infeasible / draws, "worse": worse / draws, "worst": max(excess)}


class Recosted:
    """A compressed problem that takes op costs of the original: sums over merged ops, then a minimum cut."""

    def __init__(self, reduction: Reduction) -> None:
        self.prepared: PreparedProblem = prepare(reduction.problem)
        self.order = np.argsort(reduction.member_of, kind="stable")
        self.first = np.searchsorted(reduction.member_of[self.order], np.arange(reduction.problem.op_count))

    def solve(self, device_ns: IntArray, server_ns: IntArray, at: Prices) -> tuple[Any, int]:
        device, server = (np.add.reduceat(times[self.order], self.first) for times in (device_ns, server_ns))
        return self.prepared.solve(device, server, at)


def _changed(times: IntArray, rng: random.Random) -> IntArray:
    """Op times that are each off by up to the uncertainty the graph was compressed for."""
    factors = [1 + UNCERTAINTY * rng.uniform(-1, 1) for _ in range(len(times))]
    return np.asarray(times * np.array(factors), dtype=np.int64)


def _agree(model: str, method: str, found: float, expected: float, tolerance: float) -> None:
    if abs(found - expected) > tolerance * expected:
        raise AssertionError(f"{model}: {method} finds {found}, the optimum is {expected}")


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "two networks, three rounds")
    parser.add_argument("models", nargs="*", help="torchvision networks; default: eleven")
    return parser.parse_args()


if __name__ == "__main__":
    main()
