"""`cic profile` writes what `cic compile` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from tests.cic.conftest import SMALL, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_profile_writes_what_compile_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    profile, file = tmp_path / "here.profile.json", tmp_path / "small.cic"
    said = answer(capsys, "profile", *SMALL, "-o", profile, "--seconds-per-op", "0.002")
    assert str(profile) in said
    answer(capsys, "compile", *SMALL, "--device", "raspberry-pi-4", "--server", profile, "-o", file)
    compiled = cic.load(file)
    assert compiled.information.server.kind == "profile"
    expected_ns = [round(cic.load_profile(profile).sum_s * 1e9)]
    assert compiled.cut_by_id["server-only"].server_ns == pytest.approx(expected_ns[0], abs=len(compiled.graph().ops))
