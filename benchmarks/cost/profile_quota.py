"""Does a profile tell the elapsed time under a processor quota? Networks and halves, predicted and measured under the same one.

    python -m benchmarks.cost.profile_quota            # about twelve minutes on a quiet machine with two cores
    python -m benchmarks.cost.profile_quota --quick    # one network, one quota

For each network and number of threads, a process of its own enters a control group. Under each quota it measures the network
and four halves at places that profiling does not look at, for some seconds each and one run after the other; makes a profile;
and measures them again, so that a machine which changes its pace falls on both alike. `cic profile` itself runs in the group
once. At the end a device under the quota and a server without one decide where to cut, and every cut of the table is
measured. Skipped, saying why, where no control group can be made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

import cic
from benchmarks.cost.quota_group import QuotaGroup, quota_group
from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from cic.cost.measure import measure
from cic.cost.profile import Profile
from cic.cost.timing import Run
from cic.cost.torch_workbench import TorchWorkbench
from cic.decision.units import bits_per_second
from cic.graph import Op
from cic.trace.fx.torch_trace import trace
from codegen.torchvision_import import import_torchvision

NETWORKS = ("mobilenet_v3_large", "resnet18", "squeezenet1_1")
QUOTAS = (None, 0.5, 0.25)
DECIDED = ("mobilenet_v3_large", "resnet18")
BANDWIDTHS = ("3Mbps", "10Mbps", "30Mbps", "100Mbps")
# As `cic profile` takes by default, and half as many cuts, so that a run does not take half an hour.
SECONDS_PER_OP, CUTS = 0.1, 6
LARGEST_ERROR, LARGEST_REGRET = 0.05, 0.05


@dataclass(frozen=True)
class Case:
    """One quota. period_s: it is counted in. by_command: whether `cic profile` makes the profile, in a process of its own."""

    quota: float | None
    period_s: float = 0.1
    by_command: bool = False

    @property
    def burst_s(self) -> float:
        """How long one thing runs without a break: many periods, so that it does not matter how many stops fall at its ends."""
        return 0.4 if self.quota is None else 0.5 / self.quota**0.75


def main() -> None:
    options = _options()
    if options.inside:
        _inside(json.loads(options.inside))
        return
    before = os.getloadavg()[0]
    try:
        with quota_group("cic-profile-quota") as group:
            outcomes = [_in_a_process(group, job) for job in _jobs(options.quick, options.short_periods)]
    except OSError as error:
        print(f"skipped: no control group can be made here: {error}")
        return
    rows = [row for outcome in outcomes for row in outcome["rows"]]
    decisions = [row for outcome in outcomes for row in outcome["decisions"]]
    load = f"The load average was {before:.1f} before and {os.getloadavg()[0]:.1f} after; this benchmark alone makes about one."
    _report(rows, decisions, load).publish(options.results)


def resnet18() -> torch.nn.Module:
    """For `cic profile`."""
    return _network("resnet18")


# ------------------------------------------------------------------------------------------------- inside the control group


def _inside(job: dict[str, Any]) -> None:
    """Everything about one network and number of threads; runs in the group, writes what it found to a file."""
    group = QuotaGroup(Path(job["folder"]), job["old"])
    group.limit(None)
    group.join()
    os.nice(-20)
    threads = job["threads"]
    torch.set_num_threads(threads)
    network = _network(job["network"])
    traced = trace(network, (torch.rand(1, 3, 224, 224),), name=job["network"])
    bench = TorchWorkbench(traced)
    parts = {"whole": traced.graph.ops, **_halves(traced.graph.ops)}
    runs = {"whole": bench.whole(), **dict(zip(list(parts)[1:], _made(bench, list(parts.values())[1:]), strict=True))}
    rows, profiles = [], {}
    for case in (Case(**case) for case in job["cases"]):
        group.limit(case.quota, case.period_s)
        before = {name: _elapsed(run, case) for name, run in runs.items()}
        started = perf_counter()
        profile = (
            _profile_by_command(job["network"], threads)
            if case.by_command
            else measure(traced, threads=threads, seconds_per_op=SECONDS_PER_OP, cuts=CUTS)
        )
        took_s = perf_counter() - started
        for name, run in runs.items():
            elapsed_s = (before[name] + _elapsed(run, case)) / 2
            rows.append(_row(job, case, name, parts[name], profile, elapsed_s, took_s))
        profiles[(case.quota, case.period_s)] = profile
    decisions = _decisions(job, group, bench, profiles) if job["decide"] else []
    group.limit(None)
    Path(job["found"]).write_text(json.dumps({"rows": rows, "decisions": decisions}))


def _row(
    job: dict[str, Any], case: Case, name: str, ops: Sequence[Op], profile: Profile, elapsed_s: float, took_s: float
) -> dict[str, Any]:
    predicted_s = sum(profile.seconds_for(op) for op in ops)
    measured = profile.measured
    return {
        "network": job["network"],
        "threads": job["threads"],
        "quota": case.quota,
        "period_ms": round(case.period_s * 1e3),
        "part": name,
        "predicted_ms": round(predicted_s * 1e3, 3),
        "elapsed_ms": round(elapsed_s * 1e3, 3),
        "error": round(predicted_s / elapsed_s - 1, 4),
        "statistic": measured.statistic,
        "elapsed_over_processor": round(measured.elapsed_s / measured.processor_s, 2),
        "quota_seen": measured.quota,
        "spread": round(measured.spread, 3),
        "warned": bool(measured.warning),
        "profile_s": round(took_s, 1),
        "by_command": case.by_command,
    }


def _decisions(
    job: dict[str, Any], group: QuotaGroup, bench: TorchWorkbench, profiles: dict[tuple[float | None, float], Profile]
) -> list[dict[str, Any]]:
    """What is chosen with the profile under the quota as device and the one without as server, and what each cut takes."""
    quota = job["decide"]
    traced = bench.traced
    machines = {"device": profiles[(quota, 0.1)], "server": profiles[(None, 0.1)]}
    model = cic.compile(traced, **machines, box=cic.Box(uplink=("1Mbps", "1Gbps")))
    sides = [
        [[op for op in traced.graph.ops if (op.name in cut.device_ops) == here] for here in (True, False)] for cut in model.cuts
    ]
    group.limit(None)
    runs = [[_made(bench, [side])[0] if side else None for side in pair] for pair in sides]
    tails = [_elapsed(tail, Case(None)) if tail else 0.0 for _, tail in runs]
    group.limit(quota)
    heads = [_elapsed(head, Case(quota)) + _elapsed(head, Case(quota)) if head else 0.0 for head, _ in runs]
    group.limit(None)
    tails = [(once + (_elapsed(tail, Case(None)) if tail else 0.0)) / 2 for once, (_, tail) in zip(tails, runs, strict=True)]
    found = []
    for bandwidth in BANDWIDTHS:
        bits_per_s = bits_per_second(bandwidth)
        latency = {
            cut.id: head / 2 + tail + 8 * (cut.upload_bytes + cut.download_bytes) / bits_per_s
            for cut, head, tail in zip(model.cuts, heads, tails, strict=True)
        }
        decision = model.decide(bandwidth)
        best = min(latency, key=lambda cut: latency[cut])
        found.append(
            {
                "network": job["network"],
                "bandwidth": bandwidth,
                "chosen": decision.cut_id,
                "predicted_ms": round(decision.latency_s * 1e3, 2),
                "chosen_ms": round(latency[decision.cut_id] * 1e3, 2),
                "best": best,
                "best_ms": round(latency[best] * 1e3, 2),
                "regret": round(latency[decision.cut_id] / latency[best] - 1, 4),
                "over_both_extremes": round(min(latency["device-only"], latency["server-only"]) / latency[decision.cut_id], 3),
            }
        )
    return found


def _elapsed(run: Run, case: Case) -> float:
    """Elapsed seconds a run, of runs that follow each other: their mean under a quota, else the median, which load spares."""
    for _ in range(2):
        run()
    times = [perf_counter()]
    while len(times) < 4 or times[-1] < times[0] + case.burst_s:
        run()
        times.append(perf_counter())
    if case.quota is not None:
        return (times[-1] - times[0]) / (len(times) - 1)
    return median(after - before for before, after in pairwise(times))


def _halves(ops: Sequence[Op]) -> dict[str, Sequence[Op]]:
    """Head and tail at two places, a third and two thirds of the arithmetic in."""
    total, passed, places = sum(op.flops for op in ops), 0, []
    for position, op in enumerate(ops[:-1], start=1):
        passed += op.flops
        if passed >= total * (len(places) + 1) / 3:
            places.append(position)
    halves: dict[str, Sequence[Op]] = {}
    for place in places[:2]:
        halves[f"head of {place}"], halves[f"tail from {place}"] = ops[:place], ops[place:]
    return halves


def _made(bench: TorchWorkbench, parts: Sequence[Sequence[Op]]) -> list[Run]:
    return [make() for make in bench.parts(parts)]


def _network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = getattr(import_torchvision().models, name)(weights=None).eval()
    return model


def _profile_by_command(network: str, threads: int) -> Profile:
    """As a user makes one; the process is in the control group as this one is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "here.profile.json"
        command = [sys.executable, "-m", "cic", "profile", f"benchmarks.cost.profile_quota:{network}", "--input", "1x3x224x224"]
        command += ["--threads", str(threads), "--seconds-per-op", str(SECONDS_PER_OP), "-o", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return cic.load_profile(path)


# ------------------------------------------------------------------------------------------------ outside the control group


def _jobs(quick: bool, short_periods: bool) -> list[dict[str, Any]]:
    if quick:
        return [{"network": "squeezenet1_1", "threads": 1, "cases": [asdict(Case(0.25))], "decide": None}]
    jobs: list[dict[str, Any]] = []
    for threads in (1, 2):
        for network in NETWORKS:
            cases = [Case(quota, by_command=(network, threads, quota) == ("resnet18", 1, 0.5)) for quota in QUOTAS]
            if network == "resnet18" and (threads == 1 or short_periods):
                cases.append(Case(0.25, period_s=0.005))
            decide = 0.25 if network in DECIDED and threads == 1 else None
            jobs.append({"network": network, "threads": threads, "cases": [asdict(case) for case in cases], "decide": decide})
    return jobs


def _in_a_process(group: QuotaGroup, job: dict[str, Any]) -> dict[str, Any]:
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        told = {**job, "folder": str(group.folder), "old": group.old, "found": f"{folder}/found.json"}
        environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.cost.profile_quota", "--inside", json.dumps(told)]
        subprocess.run(command, check=True, env=environment)
        found: dict[str, Any] = json.loads(Path(told["found"]).read_text())
    print(f"{job['network']}, {job['threads']} thread(s): {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def _report(rows: list[dict[str, Any]], decisions: list[dict[str, Any]], load: str) -> Report:
    overall = median(abs(row["error"]) for row in rows)
    targets = [Target(f"median error at most {LARGEST_ERROR:.0%}", f"{overall:.1%} of {len(rows)}", overall <= LARGEST_ERROR)]
    for quota in dict.fromkeys(row["quota"] for row in rows):
        for threads in dict.fromkeys(row["threads"] for row in rows):
            errors = [abs(row["error"]) for row in rows if (row["quota"], row["threads"]) == (quota, threads)]
            if errors:
                what = f"median error at most {LARGEST_ERROR:.0%}, {_quota(quota)}, {threads} thread{'s' * (threads > 1)}"
                worst = f"{median(errors):.1%}, worst {max(errors):.1%}, of {len(errors)}"
                targets.append(Target(what, worst, median(errors) <= LARGEST_ERROR))
    held_back = [row for row in rows if row["quota"] is not None]
    if held_back:
        told = sum(row["warned"] and row["statistic"] == "mean" for row in held_back)
        targets.append(Target("each profile under a quota says so", f"{told} of {len(held_back)}", told == len(held_back)))
    if decisions:
        regret = max(row["regret"] for row in decisions)
        targets.append(Target(f"regret at most {LARGEST_REGRET:.0%}", f"{regret:.1%}, the most", regret <= LARGEST_REGRET))
    return Report(
        "profile_quota",
        "Profiles under processor quotas: predicted against elapsed time",
        [_errors_section(rows), *([_decisions_section(decisions)] if decisions else [])],
        targets,
        {"load": load, "rows": rows, "decisions": decisions},
        notes=(load,),
    )


def _errors_section(rows: list[dict[str, Any]]) -> Section:
    columns = ("network and part", "threads", "quota", "predicted", "elapsed", "error", "elapsed / processor", "statistic")
    cells = [
        (
            f"{row['network']}, {row['part']}{' (`cic profile`)' if row['by_command'] else ''}",
            str(row["threads"]),
            _quota(row["quota"]) + (f" in {row['period_ms']} ms" if row["quota"] else ""),
            show_time(row["predicted_ms"] / 1e3),
            show_time(row["elapsed_ms"] / 1e3),
            f"{row['error']:+.1%}",
            show_ratio(row["elapsed_over_processor"]),
            row["statistic"],
        )
        for row in rows
    ]
    notes = (
        "Elapsed: the mean over runs that follow each other for some seconds under a quota, else the median, before and after "
        "profiling. Predicted: the profile's op times, summed. Elapsed / processor: of the thread that runs, while profiling.",
    )
    return Section("Whole networks and halves", columns, cells, notes)


def _decisions_section(decisions: list[dict[str, Any]]) -> Section:
    columns = ("network", "uplink", "chosen", "predicted", "measured", "best", "measured", "regret", "over both extremes")
    cells = [
        (
            row["network"],
            row["bandwidth"],
            row["chosen"],
            show_time(row["predicted_ms"] / 1e3),
            show_time(row["chosen_ms"] / 1e3),
            row["best"],
            show_time(row["best_ms"] / 1e3),
            f"{row['regret']:.1%}",
            show_ratio(row["over_both_extremes"]),
        )
        for row in decisions
    ]
    notes = (
        "The device has a quarter of a processor, the server a whole one; tensors cross as float32. Measured: head under the "
        "quota, tail without, both one run after the other, and the bytes over the bandwidth.",
    )
    return Section("Decisions", columns, cells, notes)


def _quota(quota: float | None) -> str:
    return "no quota" if quota is None else f"{quota:.0%}"


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "one network under one quota")
    parser.add_argument(
        "--short-periods", action="store_true", help="a quota counted in 5 ms with two threads, too: minutes more"
    )
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
