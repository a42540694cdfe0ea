"""A fresh process to its first decision: seconds and peak memory, over a Python that does nothing.

    python -m benchmarks.decision.cold_start

Each kind of process is started in turn, many times, with the same flags. Wall time runs from before the start to after the
end; processor time is the child's own, the steadier figure on a busy machine. Peak memory is VmHWM of the child itself:
getrusage would count the parent's pages, which a child has before exec.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.harness.torchvision_zoo import load

ROOT = Path(__file__).resolve().parents[2]
MODEL = "densenet201"
MOST_SECONDS, MOST_BYTES = 0.011, 8 * 2**20
MIB = 2**20

PEAK = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
PROGRAMS = {
    "bare interpreter": "import sys; sys.path.insert(0, {root!r})",
    "import cic": "import sys; sys.path.insert(0, {root!r}); import cic",
    "import cic, load, decide": "import sys; sys.path.insert(0, {root!r}); import cic; cic.load({file!r}).decide(2e7)",
    "import json, zlib alone": "import sys, json, binascii",
    "import numpy": "import numpy",
}
FLAGS = {"-I -S": ("-I", "-S"), "no flags": ()}
NEEDS_SITE = ("import numpy",)


def main() -> None:
    """Measure and publish."""
    parser = shared_options(__doc__, "a small network, few starts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.cic"
        name = "resnet18" if options.quick else MODEL
        load(name).splitting_model.save(file)
        size = file.stat().st_size
        measured = {flags: measure(FLAGS[flags], file, 3 if options.quick else 41) for flags in FLAGS}
    report(measured, name, size).publish(options.results)


def measure(flags: tuple[str, ...], file: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds and peak bytes of each program, and both over the bare interpreter's in the same round."""
    programs = {
        name: code.format(root=str(ROOT), file=str(file))
        for name, code in PROGRAMS.items()
        if not flags or name not in NEEDS_SITE
    }
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, code in programs.items():
            wall_s, processor_s, _ = start(flags, code)
            one = (wall_s, processor_s, start(flags, f"{code}\n{PEAK}")[2])
            if turn:  # the first round fills the file system's cache and writes byte code
                taken[name].append(one)
    bare = taken["bare interpreter"]
    return {
        name: {
            f"{what}{over}": median(mine[index] - less * base[index] for mine, base in zip(times, bare, strict=True))
            for index, what in enumerate(("wall_s", "processor_s", "peak_bytes"))
            for less, over in ((0, ""), (1, "_over_bare"))
        }
        for name, times in taken.items()
    }


def start(flags: tuple[str, ...], code: str) -> tuple[float, float, float]:
    """Wall seconds from start to end, processor seconds, and the bytes that it printed as kB (0 if nothing)."""
    command = [sys.executable, *flags, "-c", code]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    started = perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        _, status, used = os.wait4(child.pid, 0)
        wall_s = perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        printed = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return wall_s, used.ru_utime + used.ru_stime, 1024 * int(printed or 0)


def report(measured: dict[str, dict[str, dict[str, float]]], name: str, size: int) -> Report:
    """Tables and targets."""
    sections = [
        Section(
            f"Processes started with {flags}",
            ("process", "wall time", "over bare", "processor time", "over bare", "peak memory", "over bare"),
            [
                (
                    program,
                    f"{each['wall_s'] * 1e3:.1f} ms",
                    f"{each['wall_s_over_bare'] * 1e3:.1f} ms",
                    f"{each['processor_s'] * 1e3:.1f} ms",
                    f"{each['processor_s_over_bare'] * 1e3:.1f} ms",
                    f"{each['peak_bytes'] / MIB:.1f} MiB",
                    f"{each['peak_bytes_over_bare'] / MIB:.1f} MiB",
                )
                for program, each in programs.items()
            ],
        )
        for flags, programs in measured.items()
    ]
    targets = []
    for flags, programs in measured.items():
        first = programs["import cic, load, decide"]
        for what in ("processor", "wall"):
            seconds = first[f"{what}_s_over_bare"]
            promise = f"first decision at most 11 ms over a bare interpreter ({flags}, {what} time)"
            targets.append(Target(promise, show_time(seconds), seconds <= MOST_SECONDS))
        peak = first["peak_bytes_over_bare"]
        promise = f"peak memory at most 8 MiB over a bare interpreter ({flags})"
        targets.append(Target(promise, f"{peak / MIB:.1f} MiB", peak <= MOST_BYTES))
    notes = (f"Splitting model of {name}, {size:,} bytes. Medians over starts in turn; differences are taken within a round.",)
    return Report(
        "cold_start", "Cold start", sections, targets, {"model": name, "file_bytes": size, "measured": measured}, notes
    )


if __name__ == "__main__":
    main()
