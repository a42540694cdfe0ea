"""`cic sensitivity` says what the library computes, of a splitting model and of measured states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.sensitivity.effects import sensitivity
from cic.sensitivity.sweep import swept
from cic.sensitivity.words import in_words
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_it_says_what_the_library_says(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    asked = ("--usual", "20Mbps", "--device", "1,2", "--server", "1,5", "--memory", "1,1.5")
    told = json.loads(answer(capsys, "sensitivity", project.file, *asked, "--json"))
    table = swept(cic.load(project.file), None, (1, 2), (1, 5), (1, 1.5), 2e7)
    found = sensitivity(table)
    assert told["states"] == len(table.states) and told["usual_cut"] == found.usual_cut
    assert told["stale_worst"] == found.stale_worst and told["words"] == in_words(table, found)
    printed = answer(capsys, "sensitivity", project.file, *asked)
    assert "memory pressure" in printed and f"{found.usual_cut}, which is best in the usual state" in " ".join(printed.split())


def test_measured_states_are_analysed_and_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    states, picture = tmp_path / "measured.csv", tmp_path / "map.svg"
    states.write_text("load,cut,latency_s\n1,near,1\n1,far,2\n4,near,4\n4,far,2\n", encoding="utf-8")
    printed = answer(capsys, "sensitivity", states, "--picture", picture)
    assert "loses 50.0% on average and 100% at worst" in " ".join(printed.split())
    assert "sensitivity to operating conditions" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--device", "fast"), "--device is 'fast'"),
        (("--server", "0"), "--server is '0'"),
        (("--usual", "20"), "no unit: 20 what"),
    ],
)
def test_levels_that_cannot_be_understood_are_refused(
    asked: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert main(["sensitivity", str(project.file), *asked]) == 2
    assert said in capsys.readouterr().err


def test_levels_of_measured_states_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensitivity", "states.csv", "--memory", "1,2"]) == 2
    assert "--memory is for a splitting model" in capsys.readouterr().err
