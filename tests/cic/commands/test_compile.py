"""`cic compile` says what it found and obeys its options."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from tests.cic.conftest import MACHINES, SMALL, Project, answer, run_cic

pytestmark = pytest.mark.usefixtures("in_project")


def test_compile_tells_cuts_and_break_points_and_keeps_stdout_for_them(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "again.cic"
    done = run_cic("compile", *SMALL, *MACHINES, "--rtt", "100us", "-o", file, cwd=project.directory)
    assert done.returncode == 0, done.stderr
    assert "tracing" in done.stderr and "tracing" not in done.stdout
    compiled = cic.load(file)
    assert all(cut.id in done.stdout for cut in compiled.cuts)
    assert compiled.name == "Small"
    assert [cut.features for cut in compiled.cuts] == [cut.features for cut in cic.load(project.file).cuts]


def test_compile_obeys_pins_private_tensors_and_box(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    free, bound, private = tmp_path / "free.cic", tmp_path / "bound.cic", tmp_path / "private.cic"
    box = ("--uplink", "1Mbps..1Gbps", "--box", "rtt=0..20ms", "--box", "server_slowdown=1..2", "--downlink-ratio", "2")
    answer(capsys, "compile", *SMALL, *MACHINES, *box, "-o", free)
    model = cic.load(free)
    assert model.box.uplink_bps == (1e6, 1e9)
    assert model.box.rtt_s == (0, 0.02)
    assert model.box.server_slowdown == (1, 2)
    assert model.default_downlink_ratio == pytest.approx(2)
    first, last = model.graph().ops[0].name, model.graph().ops[-1].name
    answer(capsys, "compile", *SMALL, *MACHINES, "--pin", f"{first}=device", "--pin", f"{last}=server", "-o", bound)
    for cut in cic.load(bound).cuts:
        assert first in cut.device_ops and last not in cut.device_ops
    image = next(tensor.name for tensor in model.graph().tensors if tensor.producer < 0)
    answer(capsys, "compile", *SMALL, *MACHINES, "--private", image, "-o", private)
    for cut in cic.load(private).cuts:
        assert image not in cut.crossing
