"""Is the decided cut the fastest by the clock? Real networks on the testbed, every cut of a table measured in every cell.

A cell is a network, a share of a core for the device, and an uplink. Its line goes to a file as soon as it is measured, so that
a run which was broken off goes on where it was; what is published is all that the file holds.

    python -m benchmarks.regret.regret --models resnet18 --uplinks 5,20     # a part of the grid
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import cic
from benchmarks.harness.report import Report, shared_options
from benchmarks.regret import networks
from benchmarks.regret.both_sides import device, served
from benchmarks.regret.device_side import PAUSE_S, WARM_UPS
from benchmarks.regret.found import published
from benchmarks.testbed.testbed import TestbedMissingError, check_possible
from cic.decision.splitting_model import SplittingModel

ROUNDS = 15
# Of a cell, and of exporting, profiling, compiling, emitting and calibrating before it: what these took here.
UNKNOWN_S, UNPREPARED_S = 45.0, 300.0
WORK = Path(__file__).parent / "materials"


@dataclass(frozen=True)
class Cell:
    """What is measured at once."""

    network: str
    share: float
    uplink_bps: float

    def is_in(self, row: dict[str, Any]) -> bool:
        """Is a line of the file of this cell?"""
        return (row["network"], row["share"], row["uplink_bps"]) == (self.network, self.share, self.uplink_bps)


def main() -> int:
    """Measure what is missing, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "one network, one uplink, three rounds")
    options.add_argument("--models", default=",".join(networks.NETWORKS[:6]), help="names, with commas between")
    uplinks = ",".join(f"{uplink / 1e6:g}" for uplink in networks.UPLINKS_BPS)
    options.add_argument("--uplinks", default=uplinks, help=f"Mbit/s, with commas between; default: {uplinks}")
    options.add_argument("--shares", default=",".join(map(str, networks.SHARES)), help="of a core, for the device")
    given = parsed(options)
    if given is None:
        return 0
    cells = [
        Cell(name, float(share), float(uplink) * 1e6)
        for name in given.models.split(",")
        for share in given.shares.split(",")
        for uplink in given.uplinks.split(",")
    ]
    lines = given.work / "cells.jsonl"
    if given.quick:
        cells, lines = cells[-1:], given.work / "quick.jsonl"
    if not given.publish:
        measure(cells, given.work, lines, 3 if given.quick else ROUNDS)
    report = published(read_lines(lines))
    return ended(report, given)


def parsed(options: argparse.ArgumentParser) -> argparse.Namespace | None:
    """The arguments, with those of all that is measured here; None, having said why, where there can be no testbed."""
    options.add_argument("--work", type=Path, default=WORK, help="where models and lines are kept")
    options.add_argument("--publish", action="store_true", help="measure nothing, publish what the file holds")
    given = options.parse_args()
    try:
        check_possible()
    except TestbedMissingError as error:
        print(f"skipped: {error}")
        return None
    return given


def ended(report: Report, given: argparse.Namespace) -> int:
    """Publish, and say with which status to end."""
    report.publish(given.results)
    return 0 if report.kept or given.quick else 1


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The cells that were measured; a line that was cut off is none."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def measure(cells: Sequence[Cell], work: Path, lines: Path, rounds: int) -> None:
    """Measure the cells that the file does not hold yet."""
    work.mkdir(parents=True, exist_ok=True)
    known = read_lines(lines)
    missing = [cell for cell in cells if not any(cell.is_in(row) for row in known)]
    minutes = sum(expected_s(cell, work, rounds) for cell in missing) / 60
    print(f"{len(missing)} of {len(cells)} cells are missing, some {minutes:.0f} min", file=sys.stderr, flush=True)
    started = monotonic()
    done = 0
    for (name, share), group in _grouped(missing):
        networks.prepare(work, name, (share,))
        calibrate(work, name, share)
        bundle = networks.bundle_path(work, name, share)
        tables = {when: cic.load(path) for when, path in _tables(work, name, share).items()}
        arguments = [str(_tables(work, name, share)["after"]), str(bundle), "", str(work / "photograph.npy")]
        with served(share, bundle) as (testbed, url):
            arguments[2] = url
            with device(testbed, url, "benchmarks.regret.device_side", arguments) as asked:
                for cell in group:
                    testbed.shape(cell.uplink_bps)
                    told = {"network": name, "share": share, "uplink_bps": cell.uplink_bps, "rounds": rounds}
                    row = asked.ask(told)
                    row["tables"] = {when: predicted(table, row) for when, table in tables.items()}
                    with lines.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    done += 1
                    left_s = (monotonic() - started) / done * (len(missing) - done)
                    print(
                        f"{done} of {len(missing)} cells, some {left_s / 60:.0f} min left: {cell}", file=sys.stderr, flush=True
                    )


def expected_s(cell: Cell, work: Path, rounds: int) -> float:
    """How long a cell will take: what its table predicts of all cuts; a guess where there is no table yet."""
    path = _tables(work, cell.network, cell.share)["after"]
    if not path.exists():
        return UNKNOWN_S + UNPREPARED_S / len(networks.UPLINKS_BPS)
    conditions = cic.Conditions(cell.uplink_bps, cell.uplink_bps)
    return sum(cut.latency_s(conditions) + PAUSE_S for cut in cic.load(path).cuts) * (rounds + WARM_UPS)


def calibrate(work: Path, name: str, share: float) -> None:
    """Correct the table by its real halves on both hosts, once, and emit the cuts that it did not have before."""
    before, after = _tables(work, name, share).values()
    if after.exists():
        return
    bundle = networks.bundle_path(work, name, share)
    with served(share, bundle) as (testbed, url):
        command = ["calibrate", str(bundle.resolve()), str(before.resolve()), "--server", url, "-o", str(after.resolve())]
        process = testbed.run_on_device([sys.executable, "-W", "ignore", "-m", "cic", *command])
        if process.wait() != 0:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
    emit = [sys.executable, "-m", networks.MODULE, "emit", name, str(work), f"{share:g}"]
    subprocess.run(emit, check=True)


def _tables(work: Path, name: str, share: float) -> dict[str, Path]:
    before = networks.compiled_path(work, name, share)
    return {"before": before, "after": networks.calibrated_path(work, name, share)}


def predicted(table: SplittingModel, row: dict[str, Any]) -> dict[str, Any]:
    """What a table decides under the conditions of a cell, and what it says of every cut that was measured."""
    uplink_bps = row["uplink_bps"]
    conditions = cic.Conditions(uplink_bps, uplink_bps, row["rtt_s"])
    cuts = {cut.label: cut.latency_s(conditions) for cut in table.cuts}
    decision = table.decide(uplink_bps, rtt=row["rtt_s"], downlink=uplink_bps)
    return {
        "decided": decision.cut.label,
        "best_emitted": min((label for label in cuts if label in row["latencies_s"]), key=cuts.__getitem__),
        "predicted_s": {label: round(seconds, 6) for label, seconds in cuts.items() if label in row["latencies_s"]},
    }


def _grouped(cells: Sequence[Cell]) -> Iterator[tuple[tuple[str, float], list[Cell]]]:
    """By network and share, whose processes serve all their uplinks."""
    keys = dict.fromkeys((cell.network, cell.share) for cell in cells)
    for key in keys:
        yield key, [cell for cell in cells if (cell.network, cell.share) == key]


if __name__ == "__main__":
    sys.exit(main())
