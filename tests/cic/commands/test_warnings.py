"""What a profile warns of reaches whoever measures, compiles with it or looks at the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.cost import measure as measuring
from cic.cost.control_group import Throttling
from cic.cost.timing import Pace
from tests.cic.conftest import MACHINES, SMALL, answer

pytestmark = pytest.mark.usefixtures("in_project")

THROTTLED = Pace(4.0, 1.0, 1.0, Throttling(40, 40))


def test_cic_profile_says_what_it_measured_and_warns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "total_pace", lambda _: THROTTLED)
    monkeypatch.setattr(measuring, "codecs_here", tuple)
    file = tmp_path / "held.profile.json"
    said = answer(capsys, "profile", *SMALL, "-o", file, "--seconds-per-op", "0.001")
    assert "elapsed time in torchscript, mean of" in said
    profile = cic.load_profile(file)
    assert profile.measured.clock == "elapsed" and profile.measured.statistic == "mean"
    assert "4.00 times processor time" in profile.measured.warning
    # A quota that lets a run have a quarter of the time makes it take four times as long.
    assert profile.whole_s > 2 * profile.measured.whole_low_s


def test_compile_and_show_repeat_the_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    profile = cic.profile(model, (torch.rand(1, 8),), seconds_per_op=0.001)
    noted = replace(profile, measured=replace(profile.measured, warning="a quota stopped this process"))
    quiet = replace(profile, measured=replace(profile.measured, warning=""))
    cic.compile(model, (torch.rand(1, 8),), device=noted, server=quiet).save(tmp_path / "warned.cic")
    said = answer(capsys, "show", tmp_path / "warned.cic")
    assert said.count("Warning: ") == 1 and "Warning: device profile: a quota stopped this process" in said
    assert "Warning: " not in answer(capsys, "show", _compiled_without(capsys, tmp_path))


def _compiled_without(capsys: pytest.CaptureFixture[str], folder: Path) -> Path:
    answer(capsys, "compile", *SMALL, *MACHINES, "-o", folder / "plain.cic")
    return folder / "plain.cic"
