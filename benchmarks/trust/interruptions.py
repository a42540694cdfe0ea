"""Full disks, read-only places and signals: is what a command writes old or new but whole, and is nothing left lying about?

`cic compile`, `profile` and `emit` of a small network run as processes of their own, forked from one that has imported what
they need, since imports would take most of the time. Each is killed, or told to end, at a moment drawn from as long as it
takes, over an older result. Then what is there must load, every file of a bundle with its digest; after SIGTERM at once, and
after SIGKILL with the next command that writes beside it, no hidden file may be there. Disks are tmpfs of a limited size in
a mount namespace of this command's own; without the rights for that, that part is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

import cic
import cic.emission.emission  # so that every child finds it imported
from benchmarks.harness.report import RESULTS, describe_setting, write_json
from cic.cli import main as run_command
from cic.cost.profile import load_profile
from codegen.bundle.directory import check_own
from codegen.loading import files_of
from codegen.manifest import read_manifest
from codegen.weights.shared_weights import check_file

MODEL, INPUT = "benchmarks.trust.interruptions:small_network", "1x3x32x32"
COMMANDS = ("compile", "profile", "emit")
_PATIENCE_S = 120.0
_PAGE = 4096
_INSIDE = "--inside-namespace"


def small_network() -> nn.Module:
    """A network with weights worth storing once, 1.4 MB, so that a bundle has all kinds of files."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 49, 900), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(900, 200)).eval()


@dataclass
class Row:
    """command, interruption: what was run and what happened to it. endings: exit codes, negative for signals, with counts."""

    command: str
    interruption: str
    endings: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        trials = self.endings.total()
        endings = {str(code): count for code, count in sorted(self.endings.items())}
        return {"command": self.command, "interruption": self.interruption, "trials": trials, "endings": endings} | {
            "faults": self.faults
        }


def output_of(command: str, folder: Path) -> Path:
    """What a command writes in `folder`."""
    return folder / {"compile": "small.cic", "profile": "small.profile.json", "emit": "small.split"}[command]


def arguments_of(command: str, folder: Path, table: Path) -> list[str]:
    """The command line; `table` is the splitting model that is emitted."""
    more = {
        "compile": ["--input", INPUT, "--device", "raspberry-pi-4", "--server", "epyc-7742"],
        "profile": ["--input", INPUT, "--seconds-per-op", "0.001"],
        "emit": [str(table), "--replace", "--storage", "shared"],
    }[command]
    return [command, MODEL, *more, "-o", str(output_of(command, folder))]


def run(arguments: list[str], *, after_s: float | None = None, number: int = signal.SIGKILL) -> tuple[int, float, str]:
    """Run a command in a forked process, sent a signal after a time; its exit code, its seconds and what it said."""
    with tempfile.TemporaryFile("w+") as told:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_child(arguments, told.fileno())
        deadline, sent = began + _PATIENCE_S, after_s is None
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            now = time.monotonic()
            if now > deadline or (not sent and now >= began + (after_s or 0.0)):
                os.kill(child, signal.SIGKILL if now > deadline else number)
                sent = True
            time.sleep(0.002)
        seconds = time.monotonic() - began
        told.seek(0)
        return os.waitstatus_to_exitcode(ended[1]), seconds, told.read()


def _be_child(arguments: list[str], output: int) -> None:
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = run_command(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # the child tells of anything  # noqa: BLE001
        os.write(2, f"not caught: {error!r}".encode())
    finally:
        sys.stdout.flush()
        os._exit(code)


def check_whole(command: str, folder: Path) -> None:
    """Raise unless what the command has written, now or before, is whole."""
    output = output_of(command, folder)
    if command == "compile":
        cic.load(output)
    elif command == "profile":
        load_profile(output)
    else:
        check_own(output)
        for cut in read_manifest(output).cuts:
            for half in ("head", "tail"):
                for record in files_of(output, cut.id, half):
                    check_file(output, record)


def hidden(folder: Path) -> list[str]:
    """What lies about in a folder that nobody asked for."""
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob(".*"))]


def interrupted(command: str, folder: Path, table: Path, number: signal.Signals, trials: int, seed: int) -> Row:
    """Send a signal at random moments of a command, over an older result."""
    random_moment, row = random.Random(seed), Row(command, number.name)
    arguments = arguments_of(command, folder, table)
    # The first tells how long it takes; it is the older result, too.
    code, whole_s, told = run(arguments)
    if code:
        row.faults.append(f"undisturbed: {code}, {told.strip()[-300:]}")
        return row
    for trial in range(trials):
        after_s = random_moment.uniform(0, 1.05 * whole_s)
        code, _, told = run(arguments, after_s=after_s, number=number)
        row.endings[code] += 1
        where = f"trial {trial}, after {after_s:.3f} s, ended {code}"
        if code not in (0, -number, 128 + number) or "Traceback" in told or "terminate called" in told:
            row.faults.append(f"{where}: {told.strip()[-300:]}")
        left = hidden(folder)
        # One that is told to end before it is listening is killed by the signal.
        if left and code == 128 + number:
            row.faults.append(f"{where}: {left[:3]} left behind")
        if left:
            run(["export", str(table), "--format", "c", "-o", str(folder / "small.h")])
        _note_faults(row, where, command, folder)
    return row


def _note_faults(row: Row, where: str, command: str, folder: Path) -> None:
    try:
        check_whole(command, folder)
    except Exception as error:  # whatever a damaged file makes of its reader is the finding  # noqa: BLE001
        row.faults.append(f"{where}: {error}")
    if left := hidden(folder):
        row.faults.append(f"{where}: {left[:3]} left after the next run")


def on_full_disks(command: str, folder: Path, table: Path, trials: int, seed: int) -> Row:
    """Run a command on disks that hold an older result and have random room for a new one, from nothing to enough."""
    draw, row = random.Random(seed), Row(command, "full disk")
    spare = folder / "spare"
    spare.mkdir()
    code, _, told = run(arguments_of(command, spare, table))
    result = output_of(command, spare)
    files = [path for path in [result, *result.rglob("*")] if path.is_file()]
    pages = sum(-(-path.stat().st_size // _PAGE) for path in files)
    for trial in range(trials if code == 0 else 0):
        with _Disk(folder / "disk", _PAGE * (pages + draw.randint(0, 2 * pages))) as disk:
            _copy(result, output_of(command, disk))
            ended, _, told = run(arguments_of(command, disk, table))
            row.endings[ended] += 1
            where = f"trial {trial}, ended {ended}"
            if ended not in (0, 2) or (ended == 2 and "No space left" not in told):
                row.faults.append(f"{where}: {told.strip()[-300:]}")
            _note_faults(row, where, command, disk)
    return row


def on_read_only_disk(command: str, folder: Path, table: Path) -> Row:
    """Run a command whose place cannot be written."""
    row = Row(command, "read-only disk")
    with _Disk(folder / "closed", 64 << 20) as disk:
        _copy(output_of(command, folder / "spare"), output_of(command, disk))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ended, seconds, told = run(arguments_of(command, disk, table))
        row.endings[ended] += 1
        if ended != 2 or "read-only" not in told.lower():
            row.faults.append(f"ended {ended} after {seconds:.1f} s: {told.strip()[-300:]}")
        _note_faults(row, "", command, disk)
    return row


class _Disk:
    """A disk of limited size, in a mount namespace that is this process's own."""

    def __init__(self, place: Path, size: int) -> None:
        self._place, self._size = place, size

    def __enter__(self) -> Path:
        self._place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self._place)], check=True)
        return self._place

    def __exit__(self, *unused: object) -> None:
        subprocess.run(["umount", "-l", str(self._place)], check=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _disks(folder: Path, table: Path, trials: int, seed: int) -> list[Row]:
    """The rows of all disks."""
    rows = []
    for command in COMMANDS:
        place = folder / command
        place.mkdir()
        rows += [on_full_disks(command, place, table, trials, seed), on_read_only_disk(command, place, table)]
    return rows


@dataclass(frozen=True)
class Disks:
    """The rows of all disks; a note where there are none: because there can be none here, or because the trials failed."""

    rows: list[dict[str, Any]]
    note: str
    failed: bool


@contextmanager
def _in_namespace(options: argparse.Namespace) -> Iterator[Callable[[], Disks]]:
    """Start this program on disks in a mount namespace, beside what is done meanwhile; yield how to wait for its rows."""
    mounting = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    probe = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if probe.returncode:
        yield lambda: Disks([], f"disks left out: {probe.stderr.strip() or 'no mount namespace'}", failed=False)
        return
    command = ["unshare", "-m", sys.executable, "-m", "benchmarks.trust.interruptions", _INSIDE]
    command += ["--trials", str(options.trials), "--seed", str(options.seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:

        def wait() -> Disks:
            told, said = process.communicate()
            if process.returncode:
                return Disks([], f"disks failed: {said.strip()[-300:]}", failed=True)
            return Disks(json.loads(told.splitlines()[-1]), "", failed=False)

        try:
            yield wait
        finally:
            process.terminate()


def _publish(rows: list[dict[str, Any]], note: str, options: argparse.Namespace, path: Path) -> None:
    command = f"python -m benchmarks.trust.interruptions --trials {options.trials} --seed {options.seed}"
    setting = {**describe_setting(("torch",)), "command": command}
    write_json(path, {"headline": "Interruptions", "note": note, **setting, "rows": rows})


def main(argv: list[str] | None = None, tell: Callable[[str], None] = print) -> int:
    """Run all trials and write the result; 1 if there was a fault, or the trials on disks ended with an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust.interruptions", description=__doc__)
    parser.add_argument("--trials", type=int, default=50, help="of each command and interruption; default: 50")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="of those that are sent signals")
    parser.add_argument("--result", type=Path, default=RESULTS / "interruptions.json")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = folder / "tables" / "small.cic"
        table.parent.mkdir()
        compiled = cic.compile(small_network(), (torch.rand(1, 3, 32, 32),), device="raspberry-pi-4", server="epyc-7742")
        compiled.save(table)

        if options.inside_namespace:
            print(json.dumps([row.as_json() for row in _disks(folder, table, options.trials, options.seed)]))
            return 0
        rows = []
        with _in_namespace(options) as wait:
            for command in filter(None, options.commands.split(",")):
                for number in (signal.SIGTERM, signal.SIGKILL):
                    place = folder / f"{command}-{number.name}"
                    place.mkdir()
                    rows.append(interrupted(command, place, table, number, options.trials, options.seed).as_json())
                    tell(json.dumps(rows[-1]))
            disks = wait()
    for row in disks.rows:
        tell(json.dumps(row))
    if disks.note:
        tell(disks.note)
    _publish([*rows, *disks.rows], disks.note, options, options.result)
    return int(disks.failed or any(row["faults"] for row in [*rows, *disks.rows]))


if __name__ == "__main__":
    raise SystemExit(main())
