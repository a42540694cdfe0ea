"""How long it takes from a compiled model to a verified bundle, by phase.

    OMP_NUM_THREADS=1 python -m benchmarks.halves.emission_time                  # ResNet-50 and a detector of YOLOv8's size
    OMP_NUM_THREADS=1 python -m benchmarks.halves.emission_time --format onnx --model resnet50

Phases are told apart by what `cic.emit` tells of its progress, so nothing is added to what is measured:

* before: the model is traced again, and answers the inputs that the halves are compared on; as long as the first file of a cut
  is not written, less what a cut's files take;
* files: head and tail of a cut are traced, frozen and written, the median;
* start: a fresh process begins, imports torch and has run the first half, less what a half takes; of heads and of tails;
* heads, tails: a half is read, optimised for this machine, run on each input set and asked for what it must refuse, the median;
* after: the answers are compared, weights are shared, the bundle gets to its place.

Seconds of all processors together are given beside those by the clock. Ends with code 1 if a cut takes longer than promised.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

import cic
from benchmarks.halves.emitted_speed import build
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.made_data.catalogue.architectures import Detector

Event = tuple[str, float]
"""What was told, and when."""

PROMISED_S = {"resnet50": 0.8, "detector": 1.5}
"""Seconds a cut."""
PHASES = ("before", "files", "start", "heads", "tails", "after")


def main() -> int:
    """Measure, print a table, and say whether the promise is kept."""
    options = _options()
    torch.set_num_threads(1)
    rows = [measure(name, options) for name in options.model or PROMISED_S]
    result = report(rows, options)
    result.publish(options.results)
    return int(not result.kept)


def report(rows: list[dict[str, Any]], options: argparse.Namespace) -> Report:
    """The table, and the promises about those networks that have one."""
    columns = ("network", "format", "cuts", *(f"{phase}, s" for phase in PHASES), "all, s", "a cut, s", "processors, s")
    cells = [
        (
            row["network"],
            row["format"],
            str(row["cuts"]),
            *(f"{row[phase]:.2f}" for phase in PHASES),
            f"{row['all']:.1f}",
            f"{row['all'] / row['cuts']:.2f}",
            f"{row['processors']:.1f}",
        )
        for row in rows
    ]
    targets = [
        Target(f"at most {PROMISED_S[name]} s a cut for {name}", f"{row['all'] / row['cuts']:.2f} s", row["kept"])
        for row in rows
        if (name := row["network"]) in PROMISED_S and not options.quick
    ]
    section = Section("Seconds from a compiled model to a verified bundle", columns, cells)
    return Report("emission_time", "Time to a bundle", [section], targets, {"rows": rows})


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row: the median over repetitions of each phase, and of all of it."""
    model, example = _network(name, options)
    compiled = cic.compile(model, (example,), device="raspberry-pi-4", server="epyc-7742", precision="int8")
    runs = [_emitted(model, compiled, options.format) for _ in range(options.repeat)]
    row = {phase: median(run[phase] for run in runs) for phase in (*PHASES, "all", "processors")}
    kept = row["all"] <= PROMISED_S.get(name, float("inf")) * len(compiled.cuts)
    return {"network": name, "format": options.format, "cuts": len(compiled.cuts), **row, "kept": kept}


def _network(name: str, options: argparse.Namespace) -> tuple[nn.Module, torch.Tensor]:
    size = 64 if options.quick else 640 if name == "detector" else 224
    if name != "detector":
        return build(name, size)
    torch.manual_seed(0)
    return Detector(8 if options.quick else 32).eval(), torch.rand(1, 3, size, size)


def _emitted(model: nn.Module, compiled: cic.SplittingModel, format_name: str) -> dict[str, float]:
    """Seconds of each phase of one emission."""
    with tempfile.TemporaryDirectory() as scratch:
        events: list[Event] = []
        tell: Callable[[Any], None] = lambda progress: events.append((progress.text, time.perf_counter()))  # noqa: E731
        before, began = _processor_s(), time.perf_counter()
        cic.emit(model, compiled, Path(scratch) / "x.split", formats=[format_name], progress=tell)
        ended = time.perf_counter()
        return {**phases(events, began, ended), "all": ended - began, "processors": _processor_s() - before}


def phases(events: list[Event], began: float, ended: float) -> dict[str, float]:
    """The phases, from what was told: a line for each cut whose files are written, whose head ran, and whose tail ran."""
    times = {word: [at for text, at in events if text.startswith(f"{word} ")] for word in ("write", "head", "tail")}
    steps = {word: _median_step(found) for word, found in times.items()}
    return {
        "before": times["write"][0] - began - steps["write"],
        "files": steps["write"],
        "start": times["head"][0] - times["write"][-1] - steps["head"] + times["tail"][0] - times["head"][-1] - steps["tail"],
        "heads": steps["head"],
        "tails": steps["tail"],
        "after": ended - times["tail"][-1],
    }


def _median_step(times: list[float]) -> float:
    return median(later - earlier for earlier, later in pairwise(times)) if len(times) > 1 else 0.0


def _processor_s() -> float:
    """Of this process and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "small pictures, once")
    parser.add_argument(
        "--model", action="append", help="resnet50, detector, or another classifier of torchvision; may be repeated"
    )
    parser.add_argument("--format", default="torchscript", help="of the halves")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.repeat, options.model = 1, options.model or ["detector"]
    return options


if __name__ == "__main__":
    if main():
        sys.exit(1)
