"""A control group of our own, to give a process a quota of processor time. Linux, and only where such a group can be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep

VERSION_1, VERSION_2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class QuotaGroup:
    """folder: of the group. old: whether it is one of version 1."""

    folder: Path
    old: bool

    def limit(self, quota: float | None, period_s: float = 0.1) -> None:
        """Allow so many processors on average, counted in such periods; None: as many as there are."""
        period = round(period_s * 1e6)
        allowed = -1 if quota is None else round(quota * period)
        if self.old:
            (self.folder / "cpu.cfs_quota_us").write_text("-1")
            (self.folder / "cpu.cfs_period_us").write_text(str(period))
            (self.folder / "cpu.cfs_quota_us").write_text(str(allowed))
        else:
            (self.folder / "cpu.max").write_text(f"{'max' if quota is None else allowed} {period}")

    def join(self) -> None:
        """Put this process into the group; its children will be in it, too."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def quota_group(name: str) -> Iterator[QuotaGroup]:
    """Make a group, which goes before all others on a busy machine. OSError, saying why, where none can be made."""
    old = (VERSION_1 / "cpu.cfs_quota_us").exists()
    folder = (VERSION_1 if old else VERSION_2) / f"{name}-{os.getpid()}"
    folder.mkdir()
    try:
        if not old and not (folder / "cpu.max").exists():
            raise OSError("the control groups of this system do not pass on the controller `cpu`")
        # Niceness counts inside a group only, so the group itself gets the greatest weight.
        (folder / ("cpu.shares" if old else "cpu.weight")).write_text("262144" if old else "10000")
        yield QuotaGroup(folder, old)
    finally:
        for _ in range(50):
            with suppress(OSError):
                folder.rmdir()
                break
            sleep(0.1)
