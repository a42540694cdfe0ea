"""Half an hour at full load while the bandwidth changes: memory, files and threads of device and server, and every answer.

    OMP_NUM_THREADS=1 python -m benchmarks.serving.soak       # writes benchmarks/results/soak.json, .md, .png and .html

On the testbed: two threads of a device ask without a pause, and four clients on the server's own host keep its queue filled.
The link changes every ten seconds, so that the session changes between its cuts.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.serving.scene import Scene, scene
from benchmarks.testbed.testbed import TestbedMissingError
from cic.report.page import page
from cic.report.run_records import RunRecords, read_run
from codegen.files.atomic import write_whole

UPLINKS_BPS = (1e6, 3e6, 10e6, 30e6, 100e6)
LINK_S, SAMPLE_S = 10.0, 2.0
# The first third is for halves to be loaded, which they are when the link first asks for them, and for caches to fill.
WARM_UP_SHARE = 1 / 3
DEADLINE_S = 10.0
MIB = 1 << 20
# The page shows so many inferences at most, the first and the last of the run among them.
_SHOWN = 40_000


@dataclass(frozen=True)
class Sample:
    """One look at a process: seconds since the start, MiB, and counts."""

    at_s: float
    memory_mib: float
    files: int
    threads: int


@dataclass
class Watch:
    """Looks at processes by name, until it is told to end."""

    processes: dict[str, int]
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def look(self, at_s: float) -> None:
        for name, pid in self.processes.items():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            status = {key: value.split()[0] for key, _, value in (line.partition(":") for line in lines) if value.split()}
            files = len(os.listdir(f"/proc/{pid}/fd"))
            sample = Sample(at_s, int(status["VmRSS"]) / 1024, files, int(status["Threads"]))
            self.samples.setdefault(name, []).append(sample)


def main() -> None:
    parser = shared_options(__doc__, "half a minute")
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    seconds = 30.0 if options.quick else 60 * options.minutes
    try:
        with scene() as made:
            watch, tallies = run(made, seconds)
            records = read_run(made.folder / "run.jsonl")
    except TestbedMissingError as error:
        print(f"soak: left out, for {error}")
        return
    draw(watch, options.results / "soak.png")
    write_whole(options.results / "soak.html", page(thinned(records), "Half an hour at full load").encode())
    report = make_report(watch, tallies, seconds)
    report.publish(options.results)
    if not report.kept:
        raise SystemExit("soak: not all stayed flat and right")


def run(made: Scene, seconds: float) -> tuple[Watch, dict[str, list[dict[str, Any]]]]:
    """Load, switch and watch; returns the samples and how the inferences went, by process."""
    made.testbed.shape(UPLINKS_BPS[-1])
    usual = ["--seconds", seconds, "--deadline", DEADLINE_S]
    asking = {
        "device": made.device(*usual, "--records", made.folder / "run.jsonl", "--threads", 2),
        "neighbour": made.neighbour(*usual, "--records", made.folder / "next.jsonl", "--threads", 4, "--cuts", "server-only"),
    }
    for process in asking.values():
        _line_of(process)
    for process in asking.values():
        _go_on(process)
    watch = Watch({"server": made.server.pid, "device": asking["device"].pid})
    done = threading.Event()
    switching = threading.Thread(target=_switch, args=(made, done))
    switching.start()
    began_s = time.monotonic()
    while (at_s := time.monotonic() - began_s) < seconds - 1:
        watch.look(at_s)
        time.sleep(SAMPLE_S)
    done.set()
    switching.join()
    made.testbed.shape(None)
    tallies = {name: _line_of(process)["done"] for name, process in asking.items()}
    for process in asking.values():
        _go_on(process)
        process.wait(30)
    return watch, tallies


def _switch(made: Scene, done: threading.Event) -> None:
    draw = random.Random(0)
    while not done.wait(LINK_S):
        made.testbed.shape(draw.choice(UPLINKS_BPS))


def _line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("soak: a process that asks has ended")
    return dict(json.loads(line))


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


def thinned(run: RunRecords) -> RunRecords:
    """Every so many-th record, of runs that are too long to be shown whole."""
    step = -(-len(run.records) // _SHOWN)
    return RunRecords(run.name, run.records[::step], run.times_s[::step], run.unfinished)


def growth(samples: list[Sample], name: str) -> tuple[float, float]:
    """The median of a figure in the sixth after the warm-up, and in the last sixth."""
    warm = samples[int(len(samples) * WARM_UP_SHARE) :]
    part = max(1, len(samples) // 6)
    return tuple(median(getattr(each, name) for each in some) for some in (warm[:part], warm[-part:]))  # type: ignore[return-value]


def draw(watch: Watch, path: Path) -> None:
    """Memory, files and threads over time, a line for each process."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.4), dpi=110, layout="constrained")
    rows = (("memory_mib", "resident memory, MiB"), ("files", "open files"), ("threads", "threads"))
    for row, (name, title) in enumerate(rows):
        axes = figure.add_subplot(3, 1, row + 1)
        for process, colour in (("server", "#3a5a9b"), ("device", "#b3541e")):
            samples = watch.samples[process]
            axes.plot(
                [each.at_s / 60 for each in samples], [getattr(each, name) for each in samples], color=colour, label=process
            )
        axes.set_ylim(bottom=0)
        axes.set_ylabel(title, fontsize=9)
        axes.grid(True, color="#ececec")
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("minutes at full load, the link changes every ten seconds")
    figure.axes[0].legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def make_report(watch: Watch, tallies: dict[str, list[dict[str, Any]]], seconds: float) -> Report:
    told = [each for tally in tallies.values() for each in tally]
    count, wrong, failed = (sum(each[name] for each in told) for name in ("count", "wrong", "failed"))
    targets = [
        Target(
            "every answer is that of the whole model",
            f"{wrong} of {count:,} are not, {failed} raised",
            not wrong and not failed,
        )
    ]
    rows = []
    for process, samples in watch.samples.items():
        memory, files, threads = (growth(samples, name) for name in ("memory_mib", "files", "threads"))
        grown_mib = memory[1] - memory[0]
        rows.append(
            (process, f"{memory[0]:.1f} → {memory[1]:.1f}", f"{files[0]:g} → {files[1]:g}", f"{threads[0]:g} → {threads[1]:g}")
        )
        flat = grown_mib < max(2.0, 0.02 * memory[0]) and files[1] <= files[0] + 2 and threads[1] <= threads[0]
        measured = f"{grown_mib:+.1f} MiB, {files[1] - files[0]:+g} files, {threads[1] - threads[0]:+g} threads"
        targets.append(Target(f"the {process} holds no more at the end than after its first third", measured, flat))
    cuts: dict[str, int] = {}
    for each in tallies["device"]:
        for name, number in each["cuts"].items():
            cuts[name] = cuts.get(name, 0) + number
    chosen = ", ".join(f"{name} {number:,}" for name, number in sorted(cuts.items()))
    kinds = {name: sum(each["outcomes"].get(name, 0) for each in tallies["device"]) for name in ("remote", "local", "fallback")}
    asked = {name: sum(each["count"] for each in tally) for name, tally in tallies.items()}
    notes = (
        f"The device asked {asked['device']:,} times, its neighbours {asked['neighbour']:,}. Decided on the device: {chosen}; "
        f"outcomes: {kinds}.",
        *(example for each in told for example in each["examples"][:3]),
    )
    columns = ("process", "memory in MiB", "files", "threads")
    sections = [Section("Medians of the sixth after the first third, and of the last", columns, rows)]
    figures = {
        "tallies": tallies,
        "samples": {name: [vars(each) for each in some[::10]] for name, some in watch.samples.items()},
    }
    return Report("soak", f"{seconds / 60:g} minutes at full load", sections, targets, figures, notes, ("soak.png",))


if __name__ == "__main__":
    main()
