"""A million decisions inside the box, each checked against a minimum cut that shares no code with what made the table.

    python -m benchmarks.decision.million_decisions                    # 200 random DAGs and 20 networks, ten minutes
    python -m benchmarks.decision.million_decisions --quick            # seconds

Conditions are drawn evenly in the logarithm inside the default box. The judge is PyMaxflow with 64-bit integers on the
capacities of `benchmarks.peers.formulation`. The cut that `decide` returns is priced with features counted tensor by tensor by
the judge, not with those in the table; it must cost what the minimum cut costs, up to the rounding of prices.

The networks are compiled by `cic.compile`. The random DAGs go the same way (compress, envelope, table) from plain numbers:
half are shaped like networks, half are anything (several inputs and outputs, tensors with many readers, pins, tensors that
may not cross, zero and huge costs). On the same inputs: what the capacities of DADS, to the letter, would have done.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.decision.pricing import Numbers, draw, prices, weights
from benchmarks.decision.splitting import splitting_model
from benchmarks.harness.random_problems import network_shaped, small_problem, to_problem
from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.harness.torchvision_zoo import TWENTY, load
from benchmarks.peers.dads import dads, flowback
from benchmarks.peers.formulation import features, formulate
from benchmarks.peers.solvers import pymaxflow_graph
from cic.decision.answer import Decision
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from mincut.errors import InfeasibleError
from mincut.problem import BoolArray, Prices, Problem

DECISIONS, QUICK_DECISIONS = 1_000_000, 2_000
DAGS, QUICK_DAGS = 200, 20
QUICK_NETWORKS = ("resnet18",)
DADS_SAMPLE = 150  # per problem
TOLERANCE = 1e-7
ROUNDING = 1e-9  # of prices to integers and of sums in doubles
# Costs of the judge stay near this: far above the rounding of prices, and sums of a few stay inside 64 bits.
COST = 2.0**58


@dataclass
class Verdict:
    """Counts over one problem."""

    name: str
    kind: str
    ops: int
    cuts: int
    gap: float
    decisions: int = 0
    wrong: int = 0
    worst_excess: float = 0.0
    used: int = 0
    judge_s: float = 0.0
    decide_s: float = 0.0
    dads_asked: int = 0
    dads_back: int = 0
    dads_worse: int = 0
    dads_times: list[float] = field(default_factory=list)


def main() -> None:
    """Check and publish; ends with code 1 if a decision is wrong."""
    options = _options()
    networks = QUICK_NETWORKS if options.quick else TWENTY
    dags = QUICK_DAGS if options.quick else DAGS
    each = -(-(options.decisions or (QUICK_DECISIONS if options.quick else DECISIONS)) // (len(networks) + dags))
    tasks = [
        (kind, name, each)
        for kind, name in [*(("network", n) for n in networks), *(("dag", str(number)) for number in range(dags))]
    ]
    started = perf_counter()
    if options.processes == 1:
        verdicts = told(map(check, tasks), len(tasks))
    else:
        with get_context("spawn").Pool(options.processes) as pool:
            verdicts = told(pool.imap_unordered(check, tasks), len(tasks))
    result = report(verdicts, perf_counter() - started)
    result.publish(options.results)
    if not all(target.kept for target in result.targets):
        raise SystemExit(1)


def told(arriving: Iterable[Verdict], expected: int) -> list[Verdict]:
    """Collect verdicts and say how far it got."""
    verdicts = []
    for verdict in arriving:
        verdicts.append(verdict)
        if verdict.kind == "network" or verdict.wrong or len(verdicts) % 50 == 0:
            print(f"{len(verdicts)}/{expected} {verdict.name}: {verdict.wrong} of {verdict.decisions} wrong", flush=True)
    return verdicts


def check(task: tuple[str, str, int]) -> Verdict:
    """All decisions on one network or random DAG."""
    kind, name, decisions = task
    if kind == "network":
        model = load(name)
        problem, splitting = model.lowered.problem, model.splitting_model
        sides = [_side(problem, splitting, index) for index in range(len(splitting.cuts))]
        verdict = Verdict(name, kind, problem.op_count, len(sides), splitting.proof.gap)
    else:
        problem, splitting, sides = random_dag(int(name))
        verdict = Verdict(
            f"DAG {name}", "any DAG" if int(name) % 2 else "shaped DAG", problem.op_count, len(sides), splitting.proof.gap
        )
    rng = random.Random(f"{kind} {name}")
    judge(verdict, problem, splitting, sides, [draw(rng) for _ in range(decisions)])
    if not problem.pinned.any() and problem.may_cross.all():
        judge_dads(verdict, problem, splitting, [draw(rng) for _ in range(min(DADS_SAMPLE, decisions))])
    return verdict


def judge(verdict: Verdict, problem: Problem, model: SplittingModel, sides: list[BoolArray], asked: list[Numbers]) -> None:
    """Compare every decision with a minimum cut at the same conditions."""
    formulation = formulate(problem)
    build = pymaxflow_graph(formulation)
    used = {cut.id: features(problem, side) for cut, side in zip(model.cuts, sides, strict=True)}
    for cut in model.cuts:
        violation = problem.violation(sides[model.cuts.index(cut)])
        if violation is not None:
            raise AssertionError(f"{verdict.name}: cut {cut.id} is not allowed: {violation}")
    started = perf_counter()
    answers = [_asked(model, numbers) for numbers in asked]
    verdict.decide_s = perf_counter() - started
    chosen = set()
    for numbers, answer in zip(asked, answers, strict=True):
        if answer.source != "table" or answer.optimal != model.proved:
            raise AssertionError(f"{verdict.name}: {numbers} was not decided by the table, or not as proved as it is")
        # The answer is an allowed placement, so its cost bounds the optimum: the judge calculates as finely as that permits.
        at = scaled([used[answer.cut_id]], numbers)
        cost = _cost(used[answer.cut_id], at)
        started = perf_counter()
        optimum = int(build(at, cost + 1).maxflow())
        verdict.judge_s += perf_counter() - started
        excess = (cost - optimum) / optimum if optimum else float(cost > 0)
        if excess < 0:
            raise AssertionError(f"{verdict.name}: the judge finds {optimum}, yet {answer.cut_id} costs {cost}")
        verdict.worst_excess = max(verdict.worst_excess, excess)
        verdict.wrong += excess > TOLERANCE
        chosen.add(answer.cut_id)
    verdict.decisions += len(asked)
    verdict.used = len(chosen)


def judge_dads(verdict: Verdict, problem: Problem, model: SplittingModel, asked: list[Numbers]) -> None:
    """What the published capacities lead to on the same problem."""
    build, published, back = pymaxflow_graph(formulate(problem)), dads(problem), flowback(problem)
    used = {cut.id: cut.features for cut in model.cuts}
    for numbers in asked:
        answer = _asked(model, numbers)
        known = used[answer.cut_id]
        at = scaled([known], numbers)
        limit = _cost(known, at) + 1
        side = published.cut(at, 4 * limit)
        optimum = int(build(at, limit).maxflow())
        cost = _cost(features(problem, side), at) + back.bytes(side) * at.download
        verdict.dads_asked += 1
        verdict.dads_back += back.any(side)
        verdict.dads_worse += not back.any(side) and cost > optimum * (1 + TOLERANCE)
        verdict.dads_times.append(cost / optimum if optimum else 1.0)


def _asked(model: SplittingModel, numbers: Numbers) -> Decision:
    uplink_bps, downlink_bps, rtt_s, device_slowdown, server_slowdown = numbers
    return model.decide(uplink_bps, rtt_s, downlink_bps, device_slowdown, server_slowdown)


def scaled(allowed: list[tuple[int, ...]], numbers: Numbers) -> Prices:
    """Integer prices so fine that the cheapest known placement costs about `COST`."""
    ideal = weights(numbers)
    cheapest = min(sum(amount * weight for amount, weight in zip(row, ideal, strict=True)) for row in allowed)
    return prices(numbers, COST / cheapest if cheapest > 0 else 2.0**20)


def random_dag(number: int) -> tuple[Problem, SplittingModel, list[BoolArray]]:
    """Even numbers: shaped like a network. Odd ones: anything that has an allowed placement."""
    for attempt in range(1000):
        rng = random.Random(f"DAG {number}.{attempt}")
        shaped = number % 2 == 0
        problem = to_problem(network_shaped(rng, rng.randint(20, 300)) if shaped else small_problem(rng, rng.randint(2, 40)))
        try:
            return problem, *splitting_model(f"DAG {number}", problem, Box())
        except InfeasibleError:
            continue
    raise AssertionError(f"no random DAG {number} has an allowed placement")


def report(verdicts: list[Verdict], seconds: float) -> Report:
    """Tables and targets."""
    groups = {
        "networks": [verdict for verdict in verdicts if verdict.kind == "network"],
        "random DAGs, shaped like networks": [verdict for verdict in verdicts if verdict.kind == "shaped DAG"],
        "random DAGs, anything": [verdict for verdict in verdicts if verdict.kind == "any DAG"],
        "all": verdicts,
    }
    total, wrong = sum(v.decisions for v in verdicts), sum(v.wrong for v in verdicts)
    worst = max(v.worst_excess for v in verdicts)
    known = sorted(groups["networks"], key=lambda verdict: verdict.name)
    sections = [
        Section(
            "decide against the minimum cut",
            ("problems", "decisions", "worse than optimal", "largest excess", "time a decision", "time a minimum cut"),
            [(name, *row) for name, row in ((name, _row(group)) for name, group in groups.items()) if row],
            (
                f"Excess is relative, and counted as worse from {TOLERANCE:g} up. An envelope proves how far off it may be at "
                f"most; {sum(v.worst_excess > max(v.gap, ROUNDING) for v in verdicts)} of {len(verdicts)} problems exceed it.",
            ),
        ),
        Section(
            "DADS, capacities to the letter, on the same problems (those without pins and private tensors)",
            ("problems", "cuts", "data flows back", "feasible but slower", "median time / optimum", "worst"),
            [(name, *row) for name, row in ((name, _dads_row(group)) for name, group in groups.items()) if row],
            ("A tensor that flows back is sent down once, at the downlink's speed, with no further rtt: a kind reading.",),
        ),
        Section(
            "Networks",
            ("network", "ops", "cuts", "cuts chosen", "decisions", "worse", "largest excess", "proved gap"),
            [(v.name, *(str(count) for count in (v.ops, v.cuts, v.used, v.decisions, v.wrong)), *_exponents(v)) for v in known],
        ),
    ]
    dags = len(verdicts) - len(known)
    promise = f"{total:,} decisions ({dags} random DAGs, {len(known)} networks) equal to a minimum cut"
    targets = [Target(promise, f"{wrong} worse; largest excess {worst:.1e}", wrong == 0)]
    figures = {"seconds": seconds, "tolerance": TOLERANCE, "problems": [_figures(verdict) for verdict in verdicts]}
    return Report("million_decisions", "A million decisions, each checked", sections, targets, figures, (str(__doc__),))


def _row(group: list[Verdict]) -> tuple[str, ...]:
    decisions = sum(v.decisions for v in group)
    if not decisions:
        return ()
    return (
        f"{decisions:,}",
        str(sum(v.wrong for v in group)),
        f"{max(v.worst_excess for v in group):.1e}",
        show_time(sum(v.decide_s for v in group) / decisions),
        show_time(sum(v.judge_s for v in group) / decisions),
    )


def _dads_row(group: list[Verdict]) -> tuple[str, ...]:
    asked = sum(v.dads_asked for v in group)
    times = [time for v in group for time in v.dads_times]
    if not asked:
        return ()
    back, worse = sum(v.dads_back for v in group) / asked, sum(v.dads_worse for v in group) / asked
    return f"{asked:,}", f"{back:.1%}", f"{worse:.1%}", f"{median(times):.3f}", f"{max(times):.3g}"


def _exponents(verdict: Verdict) -> tuple[str, str]:
    return f"{verdict.worst_excess:.1e}", f"{verdict.gap:.1e}"


def _figures(verdict: Verdict) -> dict[str, object]:
    figures = {name: value for name, value in vars(verdict).items() if name != "dads_times"}
    if verdict.dads_times:
        figures["dads_median"], figures["dads_worst"] = median(verdict.dads_times), max(verdict.dads_times)
    return figures


def _side(problem: Problem, model: SplittingModel, index: int) -> BoolArray:
    """The device side of a cut, from the list of its ops in the saved document."""
    side = np.zeros(problem.op_count, dtype=np.bool_)
    side[list(model.graph().cuts[index])] = True
    return side


def _cost(used: tuple[int, ...], at: Prices) -> int:
    return sum(amount * unit for amount, unit in zip(used, at, strict=True))


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "one network, twenty DAGs, two thousand decisions")
    parser.add_argument("--decisions", type=int, help="how many in all")
    parser.add_argument("--processes", type=int, default=2, help="problems checked at a time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
