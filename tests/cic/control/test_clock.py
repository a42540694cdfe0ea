"""A clock is set where files of the system allow it, made up here or in a real control group; else words say why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cost.quota_group import quota_group
from cic.control.clock import Frequencies, NoClock, Quota, frequencies_here, open_clock
from cic.control.levels import cubic_levels
from tests.contracts.source_files import ROOT

LEVELS = cubic_levels((1.5e9, 1e9, 0.6e9), 2.7, 6.4)
KHZ = "600000 1000000 1500000 \n"


def processors(root: Path, count: int = 2, **files: str) -> Path:
    """A folder as Linux shows its processors."""
    for number in range(count):
        folder = root / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        for name, text in {"scaling_max_freq": "1500000\n", "scaling_available_frequencies": KHZ, **files}.items():
            (folder / name).write_text(text)
    (root / "cpufreq").mkdir()
    return root


def test_a_level_is_written_for_each_processor_and_put_back(tmp_path: Path) -> None:
    cpu = processors(tmp_path)
    clock = open_clock(LEVELS, cpu=cpu, groups=())
    assert isinstance(clock, Frequencies) and clock.settable and "2 processors" in clock.said
    files = [cpu / f"cpu{number}" / "cpufreq" / "scaling_max_freq" for number in range(2)]
    assert [file.read_text() for file in files] == ["1500000\n"] * 2, "nothing is written before a level is set"
    clock.set(LEVELS[2])
    assert [file.read_text() for file in files] == ["600000"] * 2
    clock.close()
    assert [file.read_text() for file in files] == ["1500000\n"] * 2
    files[0].write_text("1000000")
    clock.close()
    assert files[0].read_text() == "1000000", "what was put back is not put back again"


def test_frequencies_are_those_that_every_processor_has(tmp_path: Path) -> None:
    cpu = processors(tmp_path)
    (cpu / "cpu1" / "cpufreq" / "scaling_available_frequencies").write_text("1000000 1500000 2000000")
    assert frequencies_here(cpu) == (1.5e9, 1e9)
    assert frequencies_here(tmp_path / "absent") == ()
    clock = open_clock(LEVELS, cpu=cpu, groups=())
    assert isinstance(clock, NoClock) and "cannot be set to 600 MHz, and there is no control group" in clock.said


def test_a_driver_that_lists_nothing_takes_what_lies_between_its_ends(tmp_path: Path) -> None:
    ends = {"scaling_available_frequencies": "", "cpuinfo_min_freq": "600000\n", "cpuinfo_max_freq": "1500000\n"}
    assert isinstance(open_clock(LEVELS, cpu=processors(tmp_path / "a", **ends), groups=()), Frequencies)
    ends["cpuinfo_min_freq"] = "800000"
    assert isinstance(open_clock(LEVELS, cpu=processors(tmp_path / "b", **ends), groups=()), NoClock)


@pytest.mark.parametrize("version", [1, 2])
def test_without_frequencies_a_quota_stands_in(tmp_path: Path, version: int) -> None:
    files = {"cpu.max": "max 100000\n"} if version == 2 else {"cpu.cfs_period_us": "100000\n", "cpu.cfs_quota_us": "-1\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    clock = open_clock(LEVELS, cpu=tmp_path / "absent", groups=(tmp_path, tmp_path / "outer"), threads=2)
    assert isinstance(clock, Quota) and "a quota of processor time" in clock.said
    clock.set(LEVELS[1])
    written = [(tmp_path / name).read_text() for name in files]
    period, quota = written if version == 1 else reversed(written[0].split())
    assert int(quota) / int(period) == pytest.approx(2 / 1.5, rel=1e-3) and int(quota) >= 1000
    clock.set(LEVELS[0])
    assert [(tmp_path / name).read_text() for name in files] == list(files.values()), "the profiled clock has no quota"
    clock.set(LEVELS[2])
    clock.close()
    assert [(tmp_path / name).read_text() for name in files] == list(files.values())


def test_a_very_low_level_gets_a_period_that_the_kernel_takes(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000")
    clock = open_clock(LEVELS, cpu=tmp_path / "absent", groups=(tmp_path,))
    clock.set(cubic_levels((1.5e9, 0.05e9), 2.7, 6.4)[1])
    quota, period = map(int, (tmp_path / "cpu.max").read_text().split())
    assert quota >= 1000 and quota / period == pytest.approx(1 / 30, rel=1e-3)


def test_what_may_not_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "cpu.max").write_text("max 100000")
    clock = open_clock(LEVELS, cpu=processors(tmp_path / "cpu"), groups=(tmp_path / "group",))
    assert isinstance(clock, NoClock) and not clock.settable
    assert "scaling_max_freq may not be written, and" in clock.said and "cpu.max may not be written" in clock.said
    clock.set(LEVELS[2])
    clock.close()
    assert (tmp_path / "group" / "cpu.max").read_text() == "max 100000"


IN_GROUP = """
import sys
from pathlib import Path
from cic.control.clock import Quota, open_clock
from cic.control.levels import cubic_levels
from cic.cost.control_group import groups_here, processors_allowed
Path(sys.argv[1], "cgroup.procs").write_text("0")
levels = cubic_levels((1.5e9, 1e9, 0.375e9), 2.7, 6.4)
clock = open_clock(levels, cpu=Path("/absent"))
assert isinstance(clock, Quota), clock.said
clock.set(levels[2])
print(processors_allowed(groups_here()))
clock.close()
print(processors_allowed(groups_here()[:1]))
"""


def test_a_real_control_group_holds_its_process_back_and_lets_it_go() -> None:
    try:
        with quota_group("cic-test-clock") as group:
            command = [sys.executable, "-c", IN_GROUP, str(group.folder)]
            result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["0.25", "None"]
