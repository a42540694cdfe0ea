"""Does a session follow the bandwidth? Recorded and made traces on the testbed, against a clairvoyant and every static cut.

The session runs over each trace in full. What a clairvoyant and every static cut take is computed from what the cuts were
measured to take and the trace (`benchmarks.regret.clairvoyant`); the best static one is run, too, which shows how far off that
is. Lines are kept trace by trace, as `benchmarks.regret.regret` keeps its cells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from threading import Event, Thread
from time import monotonic
from typing import Any

from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.regret import networks
from benchmarks.regret.both_sides import Device, device, served
from benchmarks.regret.clairvoyant import CutParts, clairvoyant_mean_s, shaped, static_mean_s
from benchmarks.regret.device_side import SESSION
from benchmarks.regret.regret import calibrate, ended, parsed, read_lines
from benchmarks.testbed.traces import Trace, all_traces, replay

SECONDS = 60.0
OVER_CLAIRVOYANT = 1.10


def main() -> int:
    """Measure the traces that are missing, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "one trace of five seconds")
    options.add_argument("--model", default="resnet18", choices=networks.NETWORKS)
    options.add_argument("--share", type=float, default=networks.SHARES[0], help="of a core, for the device")
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each trace; default: all 60")
    given = parsed(options)
    if given is None:
        return 0
    traces = [trace.first(given.seconds) for trace in all_traces()]
    lines = given.work / "traces.jsonl"
    if given.quick:
        traces, lines = [traces[-1].first(5.0)], given.work / "quick-traces.jsonl"
    if not given.publish:
        measure(traces, given.work, lines, given.model, given.share)
    report = published(read_lines(lines))
    return ended(report, given)


def measure(traces: Sequence[Trace], work: Path, lines: Path, name: str, share: float) -> None:
    """Run the session, and the best static cut, over each trace that the file does not hold yet."""
    known = {row["trace"] for row in read_lines(lines)}
    missing = [trace for trace in traces if trace.name not in known]
    networks.prepare(work, name, (share,))
    calibrate(work, name, share)
    bundle = networks.bundle_path(work, name, share)
    arguments = [str(networks.calibrated_path(work, name, share)), str(bundle), "", str(work / "photograph.npy")]
    with served(share, bundle) as (testbed, url):
        testbed.shape(None)
        arguments[2] = url
        with device(testbed, url, "benchmarks.regret.trace_side", arguments) as asked:
            found = asked.ask({"way": "parts"})
            cuts = {
                label: CutParts(each["device_s"], each["server_s"], 8.0 * each["bytes"][0], 8.0 * each["bytes"][1])
                for label, each in found["parts"].items()
            }
            started = monotonic()
            for done, trace in enumerate(missing):
                row = _row(trace, cuts, found["rtt_s"], asked) | {"network": name, "share": share}
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                left_s = (monotonic() - started) / (done + 1) * (len(missing) - done - 1)
                print(f"{done + 1} of {len(missing)} traces, some {left_s / 60:.0f} min left", file=sys.stderr, flush=True)


def _row(trace: Trace, cuts: dict[str, CutParts], rtt_s: float, asked: Device) -> dict[str, Any]:
    real = shaped(trace)
    statics = {label: static_mean_s(real, cut, rtt_s) for label, cut in cuts.items()}
    best = min(statics, key=statics.__getitem__)
    return {
        "trace": trace.name,
        "source": trace.source,
        "duration_s": trace.duration_s,
        "mean_bps": trace.bits_between(0, trace.duration_s) / trace.duration_s,
        "clairvoyant_s": clairvoyant_mean_s(real, cuts, rtt_s),
        "statics_s": statics,
        "best_static": best,
        "session": _followed(trace, SESSION, asked),
        "best_static_rows": _followed(trace, best, asked),
    }


def _followed(trace: Trace, way: str, asked: Device) -> list[list[Any]]:
    """One run while the link follows the trace."""
    asked.testbed.shape(trace.at(0.0))
    asked.ask({"way": way, "seconds": trace.duration_s})
    stop = Event()
    following = Thread(target=replay, args=(trace, asked.testbed.shape, stop))
    following.start()
    try:
        rows: list[list[Any]] = asked.ask({})["rows"]
    finally:
        stop.set()
        following.join()
    return rows


def published(rows: Sequence[dict[str, Any]]) -> Report:
    """Tables and promises."""
    if not rows:
        raise SystemExit("no trace was measured")
    over = [_session_s(row) / row["clairvoyant_s"] for row in rows]
    against_static = [_session_s(row) / _best_static_s(row) for row in rows]
    off = [abs(_best_static_s(row) / row["statics_s"][row["best_static"]] - 1) for row in rows]
    labels = list(rows[0]["statics_s"])
    fixed = {label: fmean(row["statics_s"][label] for row in rows) for label in labels}
    best_fixed = min(fixed, key=fixed.__getitem__)
    session_s, clairvoyant_s = (fmean(map(function, rows)) for function in (_session_s, lambda row: row["clairvoyant_s"]))
    return Report(
        "traces",
        f"A session of {rows[0]['network']} on {len(rows)} bandwidth traces",
        [
            Section(
                "Mean latency on each trace",
                (
                    "trace",
                    "mean uplink",
                    "session",
                    "clairvoyant",
                    "",
                    "best static cut",
                    "measured",
                    "computed",
                    "switches a minute",
                ),
                [_shown(row) for row in rows],
            ),
            Section(
                "Over all traces: the same cut on all of them",
                ("", "mean latency"),
                [
                    ("session", show_time(session_s)),
                    ("clairvoyant", show_time(clairvoyant_s)),
                    *((label, show_time(fixed[label])) for label in sorted(fixed, key=fixed.__getitem__)),
                ],
            ),
        ],
        [
            Target(
                f"mean latency at most {OVER_CLAIRVOYANT:.2f} × a clairvoyant's, over all traces",
                f"{session_s / clairvoyant_s:.3f} ×; median of the traces {median(over):.3f} ×, largest {max(over):.3f} ×",
                session_s <= OVER_CLAIRVOYANT * clairvoyant_s,
            ),
            Target(
                "mean latency over all traces below that of every static cut",
                f"{show_ratio(session_s / fixed[best_fixed])} of the best one, {best_fixed}; on single traces against the best "
                f"for that trace {min(against_static):.3f} to {max(against_static):.3f} ×",
                session_s < fixed[best_fixed],
            ),
        ],
        {"traces": [{key: value for key, value in row.items() if not key.endswith("_rows")} for row in rows]},
        (
            f"The device has {rows[0]['share']:.0%} of a core. Each inference begins when the one before it is answered, so a "
            "mean latency is the time over the number of answers. A clairvoyant knows the trace and takes the cut that answers "
            "first, each time; it and the static cuts are computed from measured times, and the best static cut of each trace "
            f"was run, too: that was off by {median(off):.1%} (median). Recorded traces are downlinks of others that stand in "
            "for an uplink; up- and downlink follow the trace alike.",
        ),
    )


def _session_s(row: dict[str, Any]) -> float:
    return fmean(each[1] for each in row["session"])


def _best_static_s(row: dict[str, Any]) -> float:
    return fmean(each[1] for each in row["best_static_rows"])


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    session_s = _session_s(row)
    labels = [each[2] for each in row["session"]]
    switches = sum(a != b for a, b in pairwise(labels))
    return (
        row["trace"],
        f"{row['mean_bps'] / 1e6:.2f} Mbit/s",
        show_time(session_s),
        show_time(row["clairvoyant_s"]),
        f"{session_s / row['clairvoyant_s']:.2f} ×",
        row["best_static"],
        show_time(_best_static_s(row)),
        show_time(row["statics_s"][row["best_static"]]),
        f"{switches / row['duration_s'] * 60:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
