"""`cic machines` lists every machine with its figures and their source."""

from __future__ import annotations

import json

import pytest

from tests.cic.conftest import answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_machines_are_listed_with_figures_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads(answer(capsys, "machines", "--json"))
    lines = answer(capsys, "machines").splitlines()
    assert len(known) > 5
    for machine in known:
        line = next(line for line in lines if line.startswith(machine["name"] + " "))
        assert machine["source"] and machine["source"] in line
        assert any(float(word) == pytest.approx(machine["flops_per_s"] / 1e9, rel=5e-3) for word in line.split()[1:2])
        assert all(f" {alias}" in line for alias in machine["aliases"])


def test_a_narrow_terminal_still_shows_names_and_other_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads(answer(capsys, "machines", "--json"))
    monkeypatch.setenv("COLUMNS", "80")
    lines = answer(capsys, "machines").splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).replace(",", " ").split()
    assert {name for machine in known for name in (machine["name"], *machine["aliases"])} <= set(words)
