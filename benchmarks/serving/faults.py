"""Ten thousand inferences of which one in fifty meets a fault: each is answered rightly, once, and by its deadline.

    OMP_NUM_THREADS=1 python -m benchmarks.serving.faults       # writes benchmarks/results/faults.json, .md and .html

On the testbed: a device with a part of a core, a link of 100 Mbit/s, a server behind a proxy. A fault begins before an
inference and ends after it; the server is killed by SIGKILL and started anew. Every answer is compared with that of the whole
model.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.serving.scene import Scene, scene
from benchmarks.testbed.testbed import TestbedMissingError
from cic.report.page import page
from cic.report.run_records import read_run
from codegen.files.atomic import write_whole

DEADLINE_S, UPLINK_BPS, SHARE = 0.25, 100e6, 0.02
_CLEAR = {"refusing": False, "up": {}, "down": {}}


def main() -> None:
    parser = shared_options(__doc__, "200 inferences, of which one in five meets a fault")
    parser.add_argument("--count", type=int, default=10_000, help="inferences")
    options = parser.parse_args()
    count, share = (200, 0.2) if options.quick else (options.count, SHARE)
    options.results.mkdir(parents=True, exist_ok=True)
    try:
        with scene() as made:
            made.testbed.shape(UPLINK_BPS)
            tally = run(made, count, share)
            records = made.folder / "run.jsonl"
            run_of = read_run(records)
            write_whole(options.results / "faults.html", page(run_of, "Ten thousand inferences with faults").encode())
            ids = {record.request_id for record in run_of.records}
            restarts = made.restarts
    except TestbedMissingError as error:
        print(f"faults: left out, for {error}")
        return
    # The first inference was before the count began.
    report = make_report(tally, {"records": len(run_of.records) - 1, "record_ids": len(ids) - 1, "restarts": restarts})
    report.publish(options.results)
    if not report.kept:
        raise SystemExit("faults: not all were answered as they must")


def run(made: Scene, count: int, share: float) -> dict[str, Any]:
    """Let the device infer, and do what it asks for; returns how it went."""
    device = made.device("--deadline", DEADLINE_S, "--records", made.folder / "run.jsonl", "--count", count, "--share", share)
    assert device.stdin is not None and device.stdout is not None
    for line in device.stdout:
        told = json.loads(line)
        if "done" in told:
            return dict(told["done"][0])
        if (fault := told.get("fault")) is not None:
            if fault.pop("kill", False):
                made.kill_server()
            else:
                made.fault(fault)
        elif "clear" in told:
            made.fault(_CLEAR)
        device.stdin.write("go on\n")
        device.stdin.flush()
    raise SystemExit("faults: the device's process ended before its work was done")


def make_report(tally: dict[str, Any], counted: dict[str, int]) -> Report:
    count, faults = tally["count"], sum(tally["faults"].values())
    met = sum(tally["faults_met"].values())
    once = tally["ids"] == count == counted["records"] == counted["record_ids"]
    targets = [
        Target("every inference is answered", f"{tally['failed']} of {count:,} raised", not tally["failed"]),
        Target("every answer is that of the whole model", f"{tally['wrong']} are not", not tally["wrong"]),
        Target("no inference is answered or recorded twice", f"{tally['ids']:,} ids, {counted['records']:,} records", once),
        Target(
            f"none is later than its deadline of {DEADLINE_S * 1e3:g} ms and a tenth",
            f"{tally['late']} are; the longest took {tally['longest_s'] * 1e3:.0f} ms",
            not tally["late"],
        ),
    ]
    rows = [(name, str(number), str(tally["faults_met"].get(name, 0))) for name, number in sorted(tally["faults"].items())]
    outcomes = ", ".join(f"{number:,} {name}" for name, number in tally["outcomes"].items())
    sections = [
        Section(
            f"{faults} faults, {counted['restarts']} new starts of the server",
            ("fault", "began", "met by a remote inference"),
            rows,
        )
    ]
    headline = f"{count:,} inferences, {faults} of them with a fault"
    notes = (f"Outcomes: {outcomes}. {met} inferences with a fault were to be answered by the server.", *tally["examples"])
    return Report("faults", headline, sections, targets, {"tally": tally, **counted}, notes)


if __name__ == "__main__":
    main()
