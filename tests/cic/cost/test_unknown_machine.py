"""A machine of which nothing is known has a table for whatever it turns out to be, which says that nothing is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.cost.catalogue import machines
from cic.cost.pricing import resolve
from cic.cost.unknown_machine import SLOWDOWN, USUAL, UnknownCosts, usual_box
from cic.decision.provenance import NOTHING_KNOWN, UNKNOWN
from cic.errors import CostError
from tests.cic.conftest import SMALL, Project, answer


def test_both_sides_may_be_unknown_and_nothing_else() -> None:
    for side in ("the device", "the server"):
        found = resolve(UNKNOWN, side)
        assert isinstance(found, UnknownCosts) and found.usual.machine == USUAL[side]
    for side in ("a machine", "tiers[1]"):
        with pytest.raises(CostError, match="unknown"):
            resolve(UNKNOWN, side)


def test_the_range_of_slowdowns_holds_all_machines_of_the_catalogue() -> None:
    """As a device those of up to a TFLOP/s or so, as a server those from a single quick core on."""
    low, high = SLOWDOWN
    for known in machines():
        for side, slowest, fastest in (("the device", 0.0, 3e12), ("the server", 1e11, float("inf"))):
            if slowest < known.flops_per_s < fastest:
                usual = USUAL[side]
                for ratio in (
                    usual.flops_per_s / known.flops_per_s,
                    usual.memory_bytes_per_s / known.memory_bytes_per_s,
                ):
                    assert low < ratio < high, f"{known.name} as {side}"


def test_a_box_is_as_wide_as_what_is_not_known() -> None:
    unknown, known = resolve(UNKNOWN, "the device"), resolve("raspberry-pi-4b")
    assert usual_box(unknown, known).device_slowdown == SLOWDOWN
    assert usual_box(unknown, known).server_slowdown == cic.Box().server_slowdown
    assert repr(usual_box(known, known)) == repr(cic.Box())


@pytest.mark.usefixtures("in_project")
def test_commands_say_that_nothing_is_known(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    file = tmp_path / "unknown.cic"
    answer(capsys, "compile", *SMALL, "--device", "unknown", "--server", "v100", "-o", file)
    model = cic.load(file)
    assert model.information.unknown_sides == ("device",) and model.box.device_slowdown == SLOWDOWN
    # Said in lines of the width of a terminal.
    assert f"device: {NOTHING_KNOWN}" in " ".join(answer(capsys, "show", file).split())
    assert main(["decide", str(file), "10Mbps", "--json"]) == 0
    captured = capsys.readouterr()
    assert f"device: {NOTHING_KNOWN}" in captured.err and json.loads(captured.out)["optimal"]
    for slowdown in (1 / 50, 1.0, 50.0):
        assert model.decide("10Mbps", 0.01, "10Mbps", slowdown, 1.0).source == "table"
    assert cic.load(project.file).information.unknown_sides == ()
