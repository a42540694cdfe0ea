"""The clock of this machine: how a level is set, where that is possible and allowed, and in words why not where it is not.

Linux shows the frequencies of a processor as files (kernel documentation: admin-guide/pm/cpufreq). A level is set by the
greatest frequency allowed, `scaling_max_freq`, which every governor obeys. Where there are no such files, or they may not be
written, the control group of this process stands in: a quota of processor time makes work take as long as at a lower clock
(`cic.cost.control_group`). It saves less power than a lower clock does, since the voltage stays, so levels need measured watts.

Nothing is written before the first level is set, and `close` writes what was there before. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Protocol

from cic.control.levels import ClockLevel
from cic.cost.control_group import groups_here

CPU = Path("/sys/devices/system/cpu")
_PERIOD_US, _LEAST_QUOTA_US = 10_000, 1000
"""Short periods, so that an op is slowed down and not stopped; the kernel takes no quota below a millisecond."""


class Clock(Protocol):
    """said: how levels are set here, or why they are not, for people. settable: are they?"""

    said: str
    settable: bool

    def set(self, level: ClockLevel) -> None:
        """Let the processor be as slow as this level says. Raises OSError if the system refuses."""

    def close(self) -> None:
        """Put back what was there before the first level was set."""


class NoClock:
    """No level can be set."""

    settable = False

    def __init__(self, why: str) -> None:
        self.said = f"the clock stays as it is: {why}"

    def set(self, level: ClockLevel) -> None:
        """Nothing is set."""

    def close(self) -> None:
        """Nothing was set."""


class Frequencies:
    """The greatest frequency of each processor, by cpufreq. folders: one for each, with its files."""

    settable = True

    def __init__(self, folders: Sequence[Path]) -> None:
        self._before = {folder / "scaling_max_freq": _text(folder / "scaling_max_freq") for folder in folders}
        self._written = False
        self.said = f"the clock is set by the frequencies of {len(folders)} processors in {folders[0].parent.parent}"

    def set(self, level: ClockLevel) -> None:
        """See `Clock`."""
        self._written = True
        for file in self._before:
            file.write_text(str(round(level.hz / 1e3)), encoding="ascii")

    def close(self) -> None:
        """See `Clock`."""
        if self._written:
            for file, before in self._before.items():
                file.write_text(before, encoding="ascii")
            self._written = False


class Quota:
    """The processor time of this process's control group. threads: that compute at once at the profiled clock."""

    settable = True

    def __init__(self, group: Path, threads: int) -> None:
        self._threads, self._written = threads, False
        self._files = (group / "cpu.max",) if (group / "cpu.max").exists() else _version_1(group)
        self._before = [_text(file) for file in self._files]
        self.said = f"the clock is stood in for by a quota of processor time in {group}"

    def set(self, level: ClockLevel) -> None:
        """See `Clock`."""
        self._written = True
        if level.seconds_factor <= 1.0:
            self._write(self._before)
            return
        share = self._threads / level.seconds_factor
        period_us = max(_PERIOD_US, ceil(_LEAST_QUOTA_US / share))
        quota_us = round(share * period_us)
        self._write([f"{quota_us} {period_us}"] if len(self._files) == 1 else [str(period_us), str(quota_us)])

    def close(self) -> None:
        """See `Clock`."""
        if self._written:
            self._write(self._before)
            self._written = False

    def _write(self, texts: Sequence[str]) -> None:
        if len(self._files) == 2:
            # A period that is too short for the quota there is would be refused.
            self._files[1].write_text("-1", encoding="ascii")
        for file, text in zip(self._files, texts, strict=True):
            file.write_text(text, encoding="ascii")


def open_clock(
    levels: Sequence[ClockLevel], *, threads: int = 1, cpu: Path = CPU, groups: Sequence[Path] | None = None
) -> Clock:
    """The clock of this machine for these levels, which writes once a level is set: cpufreq, else a quota, else none.

    Args:
        threads: that halves use, as of `cic.Session`. cpu: where Linux shows its processors. groups: the control groups of this
            process, the innermost first; None: as Linux tells.
    """
    folders = _folders(cpu)
    if not folders:
        without = f"{cpu} has no cpufreq"
    elif missing := [level.shown for level in levels if not all(_has(folder, level.hz) for folder in folders)]:
        without = f"the processor cannot be set to {', '.join(missing)}"
    elif not all(os.access(folder / "scaling_max_freq", os.W_OK) for folder in folders):
        without = f"{folders[0] / 'scaling_max_freq'} may not be written"
    else:
        return Frequencies(folders)
    innermost = next(iter(groups_here() if groups is None else groups), None)
    if innermost is None:
        return NoClock(f"{without}, and there is no control group")
    files = [innermost / "cpu.max"] if (innermost / "cpu.max").exists() else list(_version_1(innermost))
    if not all(os.access(file, os.W_OK) for file in files):
        return NoClock(f"{without}, and {files[0]} may not be written")
    return Quota(innermost, threads)


def frequencies_here(cpu: Path = CPU) -> tuple[float, ...]:
    """The frequencies that each processor here can be set to, in hertz, the fastest first; empty where none are listed."""
    listed = [{float(khz) * 1e3 for khz in _numbers(folder / "scaling_available_frequencies")} for folder in _folders(cpu)]
    return tuple(sorted(set.intersection(*listed), reverse=True)) if listed else ()


def _folders(cpu: Path) -> list[Path]:
    return sorted(folder for folder in cpu.glob("cpu[0-9]*/cpufreq") if (folder / "scaling_max_freq").exists())


def _has(folder: Path, hz: float) -> bool:
    """Some drivers list their frequencies, the others take any from the least to the greatest."""
    if listed := _numbers(folder / "scaling_available_frequencies"):
        return round(hz / 1e3) in listed
    ends = [*_numbers(folder / "cpuinfo_min_freq"), *_numbers(folder / "cpuinfo_max_freq")]
    return len(ends) == 2 and ends[0] <= round(hz / 1e3) <= ends[1]


def _version_1(group: Path) -> tuple[Path, Path]:
    return group / "cpu.cfs_period_us", group / "cpu.cfs_quota_us"


def _numbers(file: Path) -> list[int]:
    return [int(word) for word in _text(file).split() if word.isdecimal()]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
