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
        assert f"{machine['flops_per_s'] / 1e9:.3g}" in line.split()
