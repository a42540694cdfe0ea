"""The control groups this process runs in: how many processors they allow, and how often they held it back. Linux only.

A quota (a container's `--cpus`, a service's `CPUQuota=`) lets a group run for so long in each period, 100 ms by default, and
stops it for the rest. A short op then mostly runs unhindered and a whole network does not, so what is measured says little
about how it was held back; the kernel's own counters do (kernel documentation: cgroup-v2, "CPU"; scheduler/sched-bwc).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Throttling:
    """periods: in which the group ran. throttled: of these, in how many it used up its quota and was stopped."""

    periods: int
    throttled: int


def groups_here(proc: Path = PROC) -> tuple[Path, ...]:
    """The folders of this process's control groups for processor time, the innermost first; empty if none can be seen."""
    try:
        memberships = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ()
    for line in memberships:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # Version 2 has one hierarchy, of which the list of controllers is empty; "cpu" may be at home in version 1 only.
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            folders = _folders(mount, path, "cpu" if controllers else "")
            if any((folder / "cpu.stat").is_file() and _allowed(folder, known_only=True) for folder in folders):
                return folders
    return ()


def processors_allowed(groups: Sequence[Path]) -> float | None:
    """The least number of processors that one of the groups allows on average, such as 0.25; None if none sets a limit."""
    allowed = [limit for group in groups if (limit := _allowed(group)) is not None]
    return min(allowed, default=None)


def read_throttling(groups: Sequence[Path]) -> tuple[Throttling, ...]:
    """What each group has counted so far; zeros where it does not count."""
    return tuple(Throttling(*(_counters(group).get(key, 0) for key in ("nr_periods", "nr_throttled"))) for group in groups)


def throttling_between(before: Sequence[Throttling], after: Sequence[Throttling]) -> Throttling:
    """What was counted between two readings, by the group that was stopped most often."""
    changes = [
        Throttling(max(last.periods - first.periods, 0), max(last.throttled - first.throttled, 0))
        for first, last in zip(before, after, strict=True)
    ]
    return max(changes, key=lambda change: change.throttled, default=Throttling(0, 0))


def _folders(mount: str, path: str, controller: str) -> tuple[Path, ...]:
    """The group's folder and those above it, as mounted here; empty if the mount is of another hierarchy."""
    fields, _, source = mount.partition(" - ")
    kind, *options = source.split(" ")
    if kind != ("cgroup" if controller else "cgroup2") or (controller and controller not in options[-1].split(",")):
        return ()
    shown, place = fields.split(" ")[3:5]
    inside = PurePosixPath(path)
    # A container may be shown the part of the hierarchy that is its own, while its path is told from the top.
    innermost = Path(place) / inside.relative_to(shown) if inside.is_relative_to(shown) else Path(place)
    if ".." in inside.parts or not innermost.is_dir():
        innermost = Path(place)
    return tuple(folder for folder in (innermost, *innermost.parents) if folder.is_relative_to(place))


def _allowed(group: Path, *, known_only: bool = False) -> float | None:
    """Processors that one group allows, None without a limit; with `known_only`, infinity for a group that could set one."""
    text = _text(group / "cpu.max") or f"{_text(group / 'cpu.cfs_quota_us')} {_text(group / 'cpu.cfs_period_us')}"
    try:
        quota, period = text.split()
        limit = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):
        limit = 0.0
    if limit > 0:
        return limit
    return float("inf") if known_only and text.strip() else None


def _counters(group: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(group / "cpu.stat").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
