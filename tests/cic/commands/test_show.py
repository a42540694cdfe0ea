"""`cic show` prints provenance, ops and tensors, and draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.decision.payoff import payoff_of
from cic.decision.units import show_bandwidth
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_show_prints_provenance_ops_and_tensors(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    model = cic.load(project.file)
    text = answer(capsys, "show", project.file, "--ops")
    assert all(op.name in text for op in model.graph().ops)
    assert all(tensor.name in text for tensor in model.graph().tensors)
    assert model.information.graph_digest[:12] in text
    assert all(side.name in text for side in (model.information.device, model.information.server))


def test_show_says_whether_a_split_pays(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    model = cic.load(project.file)
    assert main(["show", str(project.file)]) == 0
    shown = capsys.readouterr().out
    found = payoff_of(model)
    assert found is not None and found.best is not None
    assert "A split pays at uplinks of " + show_bandwidth(found.windows[0][0]) in shown
    assert f"{found.gains[found.best].factor:.2f} x as fast" in shown and "pays below" in shown


def test_show_draws(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    answer(capsys, "show", project.file, "--picture", tmp_path / "small.svg")
    assert "<svg" in (tmp_path / "small.svg").read_text()


def test_show_goes_by_another_round_trip(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    told = answer(capsys, "show", project.file, "--rtt", "20ms", "--picture", tmp_path / "small.svg")
    assert "round trip 20 ms" in told and "round trip 20 ms" in (tmp_path / "small.svg").read_text()
    assert "outside" not in told
    assert main(["show", str(project.file), "--rtt", "3s"]) == 0
    assert "outside what was compiled for: round trip 3 s, not 0 s to 500 ms" in capsys.readouterr().err


def test_show_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, answer(capsys, "show", project.file, "--ops").splitlines())) <= 80


def test_show_lists_and_draws_pareto_optimal_cuts(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    power, energy = "compute=1W,send=6W,receive=4W,wait=300mW", cic.Energy(1, 6, 4, 0.3)
    front = cic.load(project.file).pareto(bandwidth="50Mbps", energy=energy)
    asked = ("show", project.file, "--pareto", "50Mbps", "--power", power)
    told = json.loads(answer(capsys, *asked, "--json"))
    assert [each["cut"] for each in told["cuts"]] == [each.cut.id for each in front]
    assert [each["proved"] for each in told["cuts"]] == [each.proved for each in front] and told["by"] == ["latency", "energy"]
    text = answer(capsys, *asked, "--picture", tmp_path / "front.svg")
    assert all(each.cut.label in text for each in front) and "<svg" in (tmp_path / "front.svg").read_text()
    assert "upload" in answer(capsys, "show", project.file, "--pareto", "50Mbps")
