"""Three machines in a row on real networks: compiled, emitted, verified, and run in three processes over two paced links.

All three processes run on this machine, so each network is compiled for its own profile of it, three times over. There no split
would win; so the first op is pinned to the first machine, the one that halves the work to the second, and the last to the
third, and the best of the cuts that are left is run. What is compared is what was predicted with what the clock says.

The line of a network is written as soon as it is measured, and a run that was broken off goes on there.

    OMP_NUM_THREADS=1 python -m benchmarks.tiers.three_machines
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

import cic
from benchmarks.harness.report import Report, Section, Target, shared_options
from cic.decision.units import show_bandwidth, show_bytes, show_seconds
from cic.runtime.tiered_rehearsal import tiered_rehearsal
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful

NETWORKS = (
    "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "squeezenet1_1", "densenet121",
    "shufflenet_v2_x1_0", "regnet_y_400mf", "mnasnet1_0",
)  # fmt: skip
LINKS = (("50Mbps", "200Mbps"), ("200Mbps", "1Gbps"))
RTTS = ("4ms", "10ms")
WORK = Path(__file__).resolve().parent / "materials"
ALLOWED = 0.10
"""Relative error of predictions, median over networks and links."""


def main() -> None:
    options = shared_options(__doc__, quick="one network of small pictures, one pair of links, two runs")
    options.add_argument("--networks", default=",".join(NETWORKS), help="names of torchvision, with commas between")
    options.add_argument("--work", type=Path, default=WORK, help="where profiles, parts and lines are kept")
    given = options.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    names = ["squeezenet1_1"] if given.quick else given.networks.split(",")
    lines = given.work / ("quick.jsonl" if given.quick else "lines.jsonl")
    if given.quick:
        lines.unlink(missing_ok=True)
    for number, name in enumerate(names, start=1):
        if name not in {row["network"] for row in read_lines(lines)}:
            print(f"{number} of {len(names)}: {name}", file=sys.stderr, flush=True)
            rows = measured(name, given)
            with lines.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
    report = published([row for row in read_lines(lines) if row["network"] in names])
    report.publish(given.results)
    sys.exit(not report.kept and not given.quick)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def measured(name: str, given: Namespace) -> list[dict[str, Any]]:
    """A row for each pair of links."""
    size = 64 if given.quick else 224
    torch.manual_seed(0)
    network = getattr(import_torchvision().models, name)(weights=None)
    example = (torch.randn(1, 3, size, size),)
    model = make_meaningful(network, (torch.randn(4, 3, size, size),))
    traced = cic.trace_model(model, example, name=name)
    profile = cic.profile(traced, seconds_per_op=0.005 if given.quick else 0.1)
    started = perf_counter()
    tiered = cic.compile_tiers(traced, tiers=[profile] * 3, rtts=RTTS, pins=pins(traced, profile))
    compiled_s = perf_counter() - started
    rows = []
    for links in LINKS[:1] if given.quick else LINKS:
        decision = tiered.decide(links)
        parts = given.work / f"{name}.parts"
        shutil.rmtree(parts, ignore_errors=True)
        started = perf_counter()
        cic.emit_tiers(model, tiered, parts, cuts=[decision.cut_id])
        emitted_s = perf_counter() - started
        latencies, error = rehearsed(parts, decision, example, 2 if given.quick else 15)
        shutil.rmtree(parts)
        rows.append(
            {
                "network": name, "ops": [len(ops) for ops in decision.ops], "cuts": len(tiered.cuts), "uplinks": links,
                "upload_bytes": decision.cut.upload_bytes, "optimal": decision.optimal, "compiled_s": compiled_s,
                "emitted_s": emitted_s, "predicted_s": decision.latency_s, "latencies_s": latencies, "relative_error": error,
            }
        )  # fmt: skip
    return rows


def pins(traced: Any, profile: cic.Profile) -> dict[str, int]:
    """The first op, the one with which half of the time is over, and the last one."""
    graph, times = traced.graph, profile.op_seconds(traced.graph)
    past = 0.0
    for op, time_s in zip(graph.ops, times, strict=True):
        past += time_s
        if past >= sum(times) / 2:
            return {graph.ops[0].name: 0, op.name: 1, graph.ops[-1].name: 2}
    raise AssertionError("half of the time is over before all of it is")


def rehearsed(parts: Path, decision: Any, example: Sequence[torch.Tensor], runs: int) -> tuple[list[float], float]:
    """Seconds of each run, and how far the answer is from the one of this process alone."""
    with tiered_rehearsal(parts, decision.cut, decision.conditions) as session:
        inputs = session.flatten(example, {})
        session.warm_up(inputs)
        answers = [session.infer(inputs) for _ in range(runs)]
        error = session.error_against_one_process(inputs, answers[-1][0])
    return [timing.latency_s for _, timing in answers], error


def published(rows: Sequence[dict[str, Any]]) -> Report:
    offs = [median(row["latencies_s"]) / row["predicted_s"] - 1 for row in rows]
    table = [
        (
            row["network"],
            " → ".join(map(str, row["ops"])),
            " and ".join(show_bandwidth(cic.Conditions(each).uplink_bps) for each in row["uplinks"]),
            " and ".join(map(show_bytes, row["upload_bytes"])),
            show_seconds(row["predicted_s"]),
            show_seconds(median(row["latencies_s"])),
            f"{off:+.1%}",
            f"{row['relative_error']:.0e}",
            f"{row['compiled_s']:.2f}",
        )
        for row, off in zip(rows, offs, strict=True)
    ]
    networks = {row["network"] for row in rows}
    error = max(row["relative_error"] for row in rows)
    off = median(map(abs, offs))
    columns = ("network", "ops", "uplinks", "sent", "predicted", "measured", "off", "error", "compiled in s")
    return Report(
        "three_machines",
        f"{len(networks)} networks on three machines in a row: predictions are {off:.1%} off (median)",
        [Section("In three processes on this machine, median of the runs", columns, table)],
        [
            Target("10 networks are emitted and verified", f"{len(networks)}", len(networks) >= len(NETWORKS)),
            Target("the answer over both links is that of one process, to 1e-4", f"{error:.1e}", error <= 1e-4),
            Target("all cuts that were run are proved optimal", f"{sum(row['optimal'] for row in rows)} of {len(rows)}",
                   all(row["optimal"] for row in rows)),
            Target(f"predictions within {ALLOWED:.0%} (median)", f"{off:.1%}", off <= ALLOWED),
        ],
        {"rows": list(rows)},
        ("Each emission verifies head and tail of both bundles in fresh processes, and then all parts in a row.",),
    )  # fmt: skip


if __name__ == "__main__":
    main()
