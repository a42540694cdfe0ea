"""One process per model, with limits of time and memory: a fork of one that has the libraries loaded, which saves seconds each.

However a model's process ends, there is a row: the child writes it after each phase, and the parent says how it ended.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo_table.verifier import Verifier

_LOOK_S = 0.2


@dataclass(frozen=True)
class Limits:
    """What one model may use: wall time, and resident memory of its process and the one that verifies."""

    seconds: float = 600.0
    bytes: float = 8e9


@contextmanager
def verifier() -> Iterator[Verifier]:
    """An interpreter to verify in, stopped at the end."""
    process = Verifier()
    process.start()
    gc.freeze()  # what is loaded here is of no interest to the collectors of the processes forked from this one
    try:
        yield process
    finally:
        process.stop()


def share_out(count: int, jobs: int, run_some: Callable[[Iterator[int]], None]) -> None:
    """Run `run_some` in as many processes as there are jobs; between them they are given the numbers below `count`, in order.

    A model's process must be forked from one without threads, so jobs are processes, too.
    """
    following = multiprocessing.Value("i", 0)

    def numbers() -> Iterator[int]:
        while True:
            with following.get_lock():
                number = following.value
                following.value += 1
            if number >= count:
                return
            yield number

    workers = [multiprocessing.get_context("fork").Process(target=run_some, args=(numbers(),)) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            worker.terminate()
    codes = [worker.exitcode for worker in workers if worker.exitcode]
    if codes:
        raise RuntimeError(f"{len(codes)} of {jobs} jobs ended early, with codes {codes}; --resume runs what is missing")


def run_limited(work: Callable[[Path], None], limits: Limits, verifying: Verifier) -> dict[str, Any]:
    """Run `work(row_file)` in a child and return its row, with its peak memory; the row says so if the child was killed."""
    with tempfile.TemporaryDirectory(prefix="zoo-row-") as folder:
        row_file = Path(folder) / "row.json"
        started = time.perf_counter()
        child = os.fork()
        if not child:
            _be_the_child(work, row_file, Path(folder))
        status, peak_bytes, killed = _watch(child, limits, verifying)
        row = json.loads(row_file.read_text(encoding="utf-8")) if row_file.exists() else {"phase": "start", "seconds": {}}
    row |= {"wall_s": round(time.perf_counter() - started, 1), "peak_bytes": peak_bytes}
    if row.get("status", "running") == "running":
        code = os.waitstatus_to_exitcode(status)
        how = killed or (f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}")
        row |= {"status": "failed", "error": f"its process was {how}" if killed or code < 0 else f"its process {how}"}
        verifying.start()
    return row


def _be_the_child(work: Callable[[Path], None], row_file: Path, folder: Path) -> None:
    """Never returns. What libraries print is dropped; temporary files go where the parent removes them."""
    try:
        os.setsid()
        tempfile.tempdir = str(folder)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        work(row_file)
        os._exit(0)
    finally:
        os._exit(1)


def _watch(child: int, limits: Limits, verifying: Verifier) -> tuple[int, int, str | None]:
    """Wait for the child; return its status, the most memory seen, and why it was killed, if it was."""
    deadline = time.perf_counter() + limits.seconds
    peak = 0
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status, peak, None
            assert verifying.process is not None
            peak = max(peak, _resident_bytes({child, verifying.process.pid}))
            if time.perf_counter() > deadline:
                return _killed(child, verifying), peak, f"killed after {limits.seconds:g} s"
            if peak > limits.bytes:
                why = f"killed at {peak / 1e9:.1f} GB of memory, it may use {limits.bytes / 1e9:g}"
                return _killed(child, verifying), peak, why
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        _killed(child, verifying)
        raise


def _killed(child: int, verifying: Verifier) -> int:
    """Kill the child and whatever it started; return its status."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet
        os.kill(child, signal.SIGKILL)
    verifying.stop()  # it may be at work for the child still
    return os.waitpid(child, 0)[1]


def _resident_bytes(groups: set[int]) -> int:
    """Resident memory of the processes of these groups, what they share with others not counted; 0 where there is no /proc."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            if group in groups:
                resident, shared = (folder / "statm").read_text().split()[1:3]
                pages += int(resident) - int(shared)
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")
