"""`cic machines` lists every machine with its figures and their source."""

from __future__ import annotations

import json

import pytest

from cic.cost.powers import board_powers, radio_powers
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


def test_powers_are_listed_and_what_is_unverified_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines = answer(capsys, "machines").splitlines()
    at = lines.index("Powers of boards")
    for board in board_powers().values():
        line = next(line for line in lines[at:] if line.startswith(board.name + " "))
        assert f" {board.busy_w:g} W" in line and board.source in line
    for radio in radio_powers().values():
        line = next(line for line in lines[at:] if line.startswith(radio.name + " "))
        assert radio.source in line and ("unverified" in line) != radio.verified


def test_a_narrow_terminal_still_shows_names_and_other_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads(answer(capsys, "machines", "--json"))
    monkeypatch.setenv("COLUMNS", "80")
    lines = answer(capsys, "machines").splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).replace(",", " ").split()
    assert {name for machine in known for name in (machine["name"], *machine["aliases"])} <= set(words)
