"""Frames a second of a stream on the testbed, measured and predicted: of the cut with the shortest interval, and of others.

Networks are compiled for streams and calibrated on both hosts. A cell is a network and an uplink. In it a session by throughput
streams through the cut with the shortest interval, the one with the lowest latency, all on the server and all on the device,
each of them as a pipeline; and once it chooses by itself. Its line goes to a file as soon as it is measured, so that a run that
was broken off goes on where it was; what is published is all that the file holds.

    python -m benchmarks.regret.frames --models resnet18 --uplinks 5,20     # a part of the grid
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.regret import networks
from benchmarks.regret.both_sides import device, served
from benchmarks.regret.device_side import SESSION
from benchmarks.regret.frames_side import AHEAD, LATENCY, SHORTEST
from benchmarks.regret.regret import Cell, calibrate, ended, parsed, read_lines
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.throughput import STAGES

NETWORKS = ("resnet18", "googlenet", "densenet121", "resnet50")
UPLINKS_BPS = (5e6, 20e6, 60e6)
SHARE = 1.0
"""Of a core, for the device. Under a quota, what a session does beside heads (2 ms of processor) takes longer, and calibrated
heads have the credit of a pause, which a stream never makes: of half a core a stage of 28 ms became one of 35 ms."""


SECONDS, QUICK_SECONDS = 10.0, 3.0
OTHERS = (LATENCY, SERVER_ONLY, DEVICE_ONLY)
OFF, BEHIND = 0.10, 0.05
SIDE = "benchmarks.regret.frames_side"


def main() -> int:
    """Measure what is missing, publish, and say whether everything was kept."""
    options = shared_options(__doc__, f"one network, one uplink, {QUICK_SECONDS:g} s a cut")
    options.add_argument("--models", default=",".join(NETWORKS), help="names, with commas between")
    uplinks = ",".join(f"{uplink / 1e6:g}" for uplink in UPLINKS_BPS)
    options.add_argument("--uplinks", default=uplinks, help=f"Mbit/s, with commas between; default: {uplinks}")
    options.add_argument("--share", type=float, default=SHARE, help=f"of a core, for the device; default: {SHARE:g}")
    given = parsed(options)
    if given is None:
        return 0
    cells = [
        Cell(name, given.share, float(uplink) * 1e6) for name in given.models.split(",") for uplink in given.uplinks.split(",")
    ]
    work = given.work / "streams"
    lines = work / "cells.jsonl"
    if given.quick:
        cells, lines = cells[:1], work / "quick.jsonl"
        lines.unlink(missing_ok=True)
    if not given.publish:
        measure(cells, given.work, lines, QUICK_SECONDS if given.quick else SECONDS)
    return ended(published(read_lines(lines)), given)


def measure(cells: Sequence[Cell], work: Path, lines: Path, seconds: float) -> None:
    """Measure the cells that the file does not hold yet."""
    known = read_lines(lines)
    missing = [cell for cell in cells if not any(cell.is_in(row) for row in known)]
    for name, share in dict.fromkeys((cell.network, cell.share) for cell in missing):
        folder = prepared(work, name, share)
        model, bundle = networks.calibrated_path(folder, name, share), networks.bundle_path(folder, name, share)
        with served(share, bundle) as (testbed, url):
            arguments = [str(path.resolve()) for path in (model, bundle)] + [url, str((folder / "photograph.npy").resolve())]
            with device(testbed, url, SIDE, arguments) as asked:
                for cell in missing:
                    if (cell.network, cell.share) != (name, share):
                        continue
                    testbed.shape(cell.uplink_bps)
                    told = {"network": name, "share": share, "uplink_bps": cell.uplink_bps, "seconds": seconds}
                    row = asked.ask(told)
                    with lines.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print(f"{len(read_lines(lines))} of {len(cells)} cells: {cell}", file=sys.stderr, flush=True)


def prepared(work: Path, name: str, share: float) -> Path:
    """The folder with the network compiled for streams, emitted and calibrated. Profiles that regret took serve here, too."""
    folder = work / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (f"{name}.onnx", f"{name}.server.json", f"{name}.{share:g}.json"):
        if (work / file).exists() and not (folder / file).exists():
            shutil.copy(work / file, folder / file)
    networks.prepare(folder, name, (share,), streams=True)
    calibrate(folder, name, share)
    return folder


def published(rows: Sequence[dict[str, Any]]) -> Report:
    """Tables and promises of these cells, which must be at least one."""
    if not rows:
        raise SystemExit("no cell was measured")
    offs = [off(row["ways"][SHORTEST]) for row in rows]
    gains = [gain(row) for row in rows]
    names = list(dict.fromkeys(row["network"] for row in rows))
    uplinks = sorted({row["uplink_bps"] for row in rows})
    largest = max(map(abs, offs))
    return Report(
        "frames",
        f"Frames a second: {len(names)} networks at {len(uplinks)} uplinks, measured at most {largest:.1%} from predicted",
        [
            Section(
                "The cut with the shortest interval between two answers",
                ("network", "uplink", "cut", "slowest stage", "predicted", "measured", "off", "an answer takes", "session"),
                [_shortest_row(row) for row in rows],
                (
                    "Frames a second. The session may choose among all emitted cuts, and has to find out what the link is "
                    "like; the others run the one cut that the table decides for at the uplink that the link was shaped to.",
                ),
            ),
            Section(
                "Beside other cuts, all of them as pipelines: frames a second, measured (predicted)",
                ("network", "uplink", SHORTEST, *OTHERS, "over the best other"),
                [_beside_row(row, over) for row, over in zip(rows, gains, strict=True)],
                (f"In {sum(map(_same, rows))} of {len(rows)} cells both objectives decide for the same cut.",),
            ),
        ],
        [
            Target(
                f"measured frames a second within {OFF:.0%} of predicted, of the cut with the shortest interval",
                f"at most {largest:.1%}, median {median(map(abs, offs)):.1%}; {sum(map(_near, offs))} of {len(offs)}",
                largest <= OFF,
            ),
            Target(
                f"no other cut gives {BEHIND:.0%} more frames a second by the clock",
                f"{min(gains):.2f} × the best other, or more",
                min(gains) >= 1 / (1 + BEHIND),
            ),
        ],
        {"cells": list(rows)},
        (
            "Device and server are namespaces on one machine: the device has "
            f"{' or '.join(f'{share:.0%}' for share in sorted({row['share'] for row in rows}))} of a core, counted in 5 ms by "
            "a control group, the server all of another. The link between them is shaped by token buckets, up and down alike. "
            f"`Session.stream` keeps up to {AHEAD} frames on the link or with the server.",
            "Networks are torchvision's with random weights, as ONNX, run by ONNX Runtime, compiled with `throughput=True` and "
            "calibrated on both hosts; a frame is the pixels of a photograph, and tensors may cross in as little as four bits.",
        ),
    )


def off(way: dict[str, Any]) -> float:
    """How many more frames a second were measured than predicted, relative."""
    return float(way["frames_per_second"] * way["interval_s"] - 1)


def gain(row: dict[str, Any]) -> float:
    """Measured frames a second of the shortest interval over the best of the other cuts."""
    ways = row["ways"]
    return float(ways[SHORTEST]["frames_per_second"] / max(ways[way]["frames_per_second"] for way in OTHERS if way in ways))


def _near(each: float) -> bool:
    return abs(each) <= OFF


def _same(row: dict[str, Any]) -> bool:
    return bool(row["ways"][SHORTEST]["cut"] == row["ways"][LATENCY]["cut"])


def _shortest_row(row: dict[str, Any]) -> tuple[str, ...]:
    way, stages = row["ways"][SHORTEST], row["ways"][SHORTEST]["terms_s"][: len(STAGES)]
    return (
        row["network"],
        f"{row['uplink_bps'] / 1e6:g} Mbit/s",
        way["cut"],
        STAGES[stages.index(max(stages))],
        f"{1 / way['interval_s']:.2f}",
        f"{way['frames_per_second']:.2f}",
        f"{off(way):+.1%}",
        show_time(way["latency_s"]),
        f"{row['ways'][SESSION]['frames_per_second']:.2f}",
    )


def _beside_row(row: dict[str, Any], over: float) -> tuple[str, ...]:
    def shown(way: str) -> str:
        told = row["ways"].get(way)
        return "" if told is None else f"{told['frames_per_second']:.2f} ({1 / told['interval_s']:.2f})"

    return row["network"], f"{row['uplink_bps'] / 1e6:g} Mbit/s", *map(shown, (SHORTEST, *OTHERS)), f"{over:.2f} ×"


if __name__ == "__main__":
    sys.exit(main())
