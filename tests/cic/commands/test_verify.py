"""`cic verify` proves and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cic.cli import main
from tests.cic.conftest import Project

pytestmark = pytest.mark.usefixtures("in_project")


def test_verify_proves_and_refuses(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    assert main(["verify", str(project.file)]) == 0
    assert "no other cut is faster" in capsys.readouterr().out
    assert main(["verify", str(project.file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gap"] < 1e-6
    damaged = tmp_path / "damaged.cic"
    damaged.write_bytes(project.file.read_bytes()[:-20])
    assert main(["verify", str(damaged)]) == 2
    assert "damaged.cic" in capsys.readouterr().err
