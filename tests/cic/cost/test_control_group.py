"""Control groups as the kernel shows them: version 1 and 2, at home and in a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.cost.control_group import Throttling, groups_here, processors_allowed, read_throttling, throttling_between

STAT = "nr_periods 40\nnr_throttled 30\nthrottled_time 12345\n"


def system(root: Path, version: int, *, told: str, shown: str, files: dict[str, str]) -> Path:
    """A /proc/self whose control groups lie under `root`; files by path in the mounted hierarchy."""
    mount = root / "cpu"
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(text)
    proc = root / "proc"
    proc.mkdir()
    kind = "cgroup rw,cpu,cpuacct" if version == 1 else "cgroup2 rw"
    kind, _, options = kind.partition(" ")
    (proc / "cgroup").write_text(
        f"9:name=systemd:/x\n4:memory:/y\n1:cpu,cpuacct:{told}\n0::/\n" if version == 1 else f"0::{told}\n"
    )
    mounted = f"33 31 0:30 {shown} {mount} rw,nosuid shared:9 - {kind} {kind} {options}\n"
    (proc / "mountinfo").write_text(f"31 23 0:28 / {root}/else rw - tmpfs tmpfs rw\n{mounted}")
    return proc


@pytest.mark.parametrize(
    "version, told, shown, files, allowed",
    [
        (1, "/a/b", "/", {"a/b/cpu.cfs_quota_us": "-1", "a/b/cpu.cfs_period_us": "100000", "a/b/cpu.stat": STAT,
                          "a/cpu.cfs_quota_us": "25000", "a/cpu.cfs_period_us": "100000", "a/cpu.stat": STAT}, 0.25),
        (1, "/docker/7", "/docker/7", {"cpu.cfs_quota_us": "7500", "cpu.cfs_period_us": "5000", "cpu.stat": STAT}, 1.5),
        (1, "/docker/7", "/", {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000", "cpu.stat": STAT}, 0.5),
        (1, "/", "/", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.stat": STAT}, None),
        (2, "/system.slice/x", "/", {"system.slice/x/cpu.max": "50000 100000\n", "system.slice/x/cpu.stat": STAT,
                                     "system.slice/cpu.max": "max 100000", "cpu.stat": "usage_usec 3"}, 0.5),
        (2, "/", "/", {"cpu.max": "200000 100000", "cpu.stat": STAT}, 2.0),
        (2, "/../../up", "/", {"cpu.max": "max 100000", "cpu.stat": STAT}, None),
        (2, "/", "/", {"cpu.max": "nonsense", "cpu.stat": "nr_periods\nnr_throttled many\n"}, None),
    ],
)  # fmt: skip
def test_the_tightest_quota_is_found_wherever_it_is_set(
    tmp_path: Path, version: int, told: str, shown: str, files: dict[str, str], allowed: float | None
) -> None:
    groups = groups_here(system(tmp_path, version, told=told, shown=shown, files=files))
    assert groups and processors_allowed(groups) == allowed


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert groups_here(tmp_path / "absent") == ()
    assert groups_here(system(tmp_path, 2, told="/", shown="/", files={"other": ""})) == ()
    assert processors_allowed(()) is None and read_throttling(()) == ()
    assert throttling_between((), ()) == Throttling(0, 0)


def test_the_group_that_was_stopped_counts(tmp_path: Path) -> None:
    files = {"a/cpu.max": "max 100000", "a/cpu.stat": "nr_periods 0\nnr_throttled 0", "cpu.max": "1000 5000", "cpu.stat": STAT}
    groups = groups_here(system(tmp_path, 2, told="/a", shown="/", files=files))
    before = read_throttling(groups)
    (tmp_path / "cpu" / "cpu.stat").write_text("nr_periods 60\nnr_throttled 49\n")
    assert throttling_between(before, read_throttling(groups)) == Throttling(20, 19)
