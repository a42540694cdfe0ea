"""`cic show` prints provenance, ops and tensors, and draws."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_show_prints_provenance_ops_and_tensors(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    model = cic.load(project.file)
    text = answer(capsys, "show", project.file, "--ops")
    assert all(op.name in text for op in model.graph().ops)
    assert all(tensor.name in text for tensor in model.graph().tensors)
    assert model.information.graph_digest[:12] in text
    assert all(side.name in text for side in (model.information.device, model.information.server))


def test_show_draws(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    answer(capsys, "show", project.file, "--picture", tmp_path / "small.svg")
    assert "<svg" in (tmp_path / "small.svg").read_text()
