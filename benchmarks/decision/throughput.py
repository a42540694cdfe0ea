"""Most answers a second: is the look-up the optimum, what does it take to compile, and what do other cuts lose?

A network's line goes to a file as soon as it is there, so that a run which was broken off goes on where it was.

    python -m benchmarks.decision.throughput --models resnet50,inception_v3     # some networks
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness.bounded_oracles import crossing_tensors, placements
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import AMOUNTS, small_problem_with_codecs
from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.harness.stage_program import shortest_interval_ns
from benchmarks.harness.torchvision_zoo import DEVICE, SERVER, classification_models, load
from benchmarks.peers.dads_heavy import DadsHeavy, interval_ns
from cic.compilation.lowering import price_box
from cic.compilation.stream_cuts import stream_box
from cic.decision.conditions import Box
from mincut.errors import InfeasibleError
from mincut.prepared import PreparedProblem, prepare
from mincut.problem import MODEL_INPUT, Features, Problem
from mincut.scaling import fine_prices
from mincut.stage_front import StageBox, StageFront, stage_front

UPLINKS_BPS = tuple(float(uplink) for uplink in np.geomspace(0.1e6, 1000e6, 33))
PROBLEMS = 5000
# Solvers agree up to the tolerances of HiGHS.
AGREES = 1e-6
# A loss below this is none.
LOSS = 1e-6
LINES = Path(__file__).parent / "materials" / "throughput.jsonl"
CHECKED = ("resnet50", "googlenet", "inception_v3", "densenet121", "swin_t", "shufflenet_v2_x1_0", "mobilenet_v2", "vit_b_16")


def main() -> int:
    """Measure what is missing, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "one network, 200 random problems")
    options.add_argument("--models", default="", help="names, with commas between; default: every classification network")
    options.add_argument("--work", type=Path, default=LINES, help="where the lines of networks are kept")
    given = options.parse_args()
    names = given.models.split(",") if given.models else classification_models()
    if given.quick:
        names = ["mobilenet_v2"]
    checked = brute_force(200 if given.quick else PROBLEMS)
    report = published(_measured(names, given), checked)
    report.publish(given.results)
    return 0 if report.kept or given.quick else 1


def _measured(names: list[str], given: argparse.Namespace) -> list[dict[str, Any]]:
    given.work.parent.mkdir(parents=True, exist_ok=True)
    lines = given.work.read_text(encoding="utf-8").splitlines() if given.work.exists() and not given.quick else []
    known = {row["network"]: row for row in map(json.loads, lines)}
    for name in names:
        if name in known:
            continue
        known[name] = network(name)
        print(f"{len(known)} of {len(names)}: {name}", file=sys.stderr, flush=True)
        if not given.quick:
            with given.work.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[name]) + "\n")
    return [known[name] for name in names]


def brute_force(count: int) -> dict[str, int]:
    """Random problems with codecs: the front at drawn conditions, compared with all closed sets under all choices of codecs."""
    rng, solved, compared = random.Random(2001), 0, 0
    box = StageBox.of(price_box(stream_box(Box())))
    while solved < count:
        plain, codecs, problem = small_problem_with_codecs(rng, 7, AMOUNTS)
        try:
            front = stage_front(problem, box)
        except InfeasibleError:
            continue
        solved += 1
        truth = _every_amount(plain, codecs)
        for _ in range(4):
            up = 8e9 / 10 ** rng.uniform(4.7, 10)
            prices = np.array([1.0, 1.0, up, up / rng.uniform(1, 10)])
            shortest, found = ((amounts * prices).max(axis=1).min() for amounts in (truth, front.amounts))
            compared += 1
            if found > shortest * (1 + 1e-12):
                raise SystemExit(f"problem {solved}: the front has {found}, brute force {shortest}")
    return {"problems": solved, "comparisons": compared}


def _every_amount(plain: PlainProblem, codecs: list[list[tuple[int, int, int]]]) -> npt.NDArray[np.int64]:
    """int64[*, 4]: device ns, server ns, bytes up and bytes down of every closed set under every choice of codecs."""
    rows: list[tuple[int, int, int, int]] = []
    for side in placements(plain):
        here = [op for op, on_device in enumerate(side) if on_device]
        there = [op for op, on_device in enumerate(side) if not on_device]
        device_ns, server_ns = sum(plain.device_ns[op] for op in here), sum(plain.server_ns[op] for op in there)
        download = sum(plain.download_bytes[op] for op in there)
        rows.extend(
            (
                device_ns + sum(encode_ns for _, encode_ns, _ in chosen),
                server_ns + sum(decode_ns for _, _, decode_ns in chosen),
                sum(wire_bytes for wire_bytes, _, _ in chosen),
                download,
            )
            for chosen in product(*(codecs[tensor] for tensor in crossing_tensors(plain, side)))
        )
    return np.array(rows, dtype=np.int64)


def network(name: str) -> dict[str, Any]:
    """All figures of one network."""
    problem = _with_pixels(load(name).lowered.problem)
    began = perf_counter()
    front = stage_front(problem, StageBox.of(price_box(stream_box(Box()))))
    took_s = perf_counter() - began
    heavy, prepared = DadsHeavy.of(problem), prepare(problem)
    extremes = [problem.features(np.full(problem.op_count, side)) for side in (True, False)]
    cells = [_cell(problem, front, heavy, prepared, extremes, uplink_bps) for uplink_bps in UPLINKS_BPS]
    programs = []
    if name in CHECKED:
        for uplink_bps in (1e6, 20e6, 200e6):
            ns_per_byte = 8e9 / uplink_bps
            found, bound = shortest_interval_ns(problem, ns_per_byte)
            programs.append([uplink_bps, found, bound, _shortest(front, ns_per_byte)])
    return {
        "network": name,
        "ops": problem.op_count,
        "cuts": len(front.placements),
        "partial": front.partial,
        "seconds": took_s,
        "cells": cells,
        "programs": programs,
    }


def _with_pixels(problem: Problem) -> Problem:
    """Pictures are sent as the bytes of a camera, a quarter of the floats that networks read."""
    from_caller = problem.producer == MODEL_INPUT
    return replace(problem, wire_bytes=np.where(from_caller, problem.wire_bytes // 4, problem.wire_bytes))


def _cell(
    problem: Problem,
    front: StageFront,
    heavy: DadsHeavy,
    prepared: PreparedProblem,
    extremes: list[Features],
    uplink_bps: float,
) -> dict[str, float]:
    ns_per_byte = 8e9 / uplink_bps
    weights = (1.0, 1.0, ns_per_byte, ns_per_byte, 0.0)
    cheapest = min(sum(amount * weight for amount, weight in zip(each, weights, strict=True)) for each in extremes)
    prices = fine_prices(weights, cheapest, 1e-6)
    assert prices is not None
    fastest, _ = prepared.solve(problem.device_ns, problem.server_ns, prices)
    by_grid, cuts = heavy.interval_ns(ns_per_byte)
    return {
        "uplink_bps": uplink_bps,
        "exact_ns": _shortest(front, ns_per_byte),
        "latency_ns": interval_ns(problem.features(fastest), ns_per_byte),
        "dads_ns": by_grid,
        "dads_cuts": cuts,
        "device_only_ns": interval_ns(extremes[0], ns_per_byte),
        "server_only_ns": interval_ns(extremes[1], ns_per_byte),
    }


def _shortest(front: StageFront, ns_per_byte: float) -> float:
    prices = np.array([1.0, 1.0, ns_per_byte, ns_per_byte])
    return float((front.amounts * prices).max(axis=1).min())


def published(rows: list[dict[str, Any]], checked: dict[str, int]) -> Report:
    """What the lines say."""
    cells = [cell for row in rows for cell in row["cells"]]
    programs = [program for row in rows for program in row["programs"]]
    agree = sum(abs(found - exact) <= AGREES * exact for _, found, _, exact in programs)
    slowest = max(rows, key=lambda row: row["seconds"])
    below = sum(min(cell["latency_ns"], cell["dads_ns"]) < cell["exact_ns"] * (1 - 1e-9) for cell in cells)
    losses = {which: _losses(cells, f"{which}_ns") for which in ("latency", "dads", "device_only", "server_only")}
    better = [min(cell["device_only_ns"], cell["server_only_ns"]) / cell["exact_ns"] for cell in cells]
    targets = [
        Target("as brute force over all closed sets and codecs", f"{checked['problems']} problems", checked["problems"] > 0),
        Target("HiGHS agrees", f"{agree} of {len(programs)} programs", agree == len(programs)),
        Target(
            "at most 60 s a network offline",
            f"{show_time(slowest['seconds'])} at most ({slowest['network']})",
            slowest["seconds"] <= 60,
        ),
        Target("no other cut is ever better", f"{below} of {len(cells)} cells", below == 0),
    ]
    compared = Section(
        "What others lose, network by network and bandwidth by bandwidth",
        ("cut by", "cells with a longer interval", "median of these", "most"),
        [
            (which.replace("_", "-"), f"{count} of {len(cells)}", show_ratio(typical), show_ratio(most))
            for which, (count, typical, most) in losses.items()
        ],
        (
            f"A split beats both sides alone in {sum(gain > 1 + LOSS for gain in better)} of {len(cells)} cells, by "
            f"{show_ratio(max(better))} at most. `dads` is its heuristic for heavy load, made again from the paper.",
        ),
    )
    networks = Section(
        "Networks",
        ("network", "ops", "cuts", "partial cuts looked at", "time", "most beside latency cut", "most beside DADS"),
        [
            (
                row["network"],
                str(row["ops"]),
                str(row["cuts"]),
                str(row["partial"]),
                show_time(row["seconds"]),
                show_ratio(max(cell["latency_ns"] / cell["exact_ns"] for cell in row["cells"])),
                show_ratio(max(cell["dads_ns"] / cell["exact_ns"] for cell in row["cells"])),
            )
            for row in rows
        ],
    )
    headline = f"Answers a second: the optimum of {len(rows)} networks at {len(UPLINKS_BPS)} bandwidths"
    note = f"{DEVICE} and {SERVER} of the catalogue, tensors as they are, pictures as bytes; 0.1 to 1000 Mbit/s both ways."
    figures = {"brute_force": checked, "networks": [{key: row[key] for key in row if key != "cells"} for row in rows]}
    return Report("throughput", headline, [compared, networks], targets, figures, (note,))


def _losses(cells: list[dict[str, float]], which: str) -> tuple[int, float, float]:
    """In how many cells, the median of those, and the most."""
    worse = [cell[which] / cell["exact_ns"] for cell in cells if cell[which] > cell["exact_ns"] * (1 + LOSS)]
    return len(worse), median(worse) if worse else 1.0, max(worse, default=1.0)


if __name__ == "__main__" and main():
    sys.exit(1)
