"""`cic decide` says what the library says."""

from __future__ import annotations

import json

import pytest

import cic
from cic.cli import main
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_decide_says_what_the_library_says(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    asked = ("--rtt", "40ms", "--downlink", "50Mbps", "--device-slowdown", "1.3", "--server-slowdown", "4")
    for bandwidth in ("60kbps", "18.88Mbps", "2.5MB/s", "5Gbps"):
        told = json.loads(answer(capsys, "decide", project.file, bandwidth, *asked, "--json"))
        decision = cic.load(project.file).decide(bandwidth, "40ms", "50Mbps", 1.3, 4.0)
        assert told["cut"] == decision.cut_id
        assert told["latency_s"] == decision.latency_s == pytest.approx(sum(told["terms"].values()))
        assert told["conditions"]["rtt_s"] == 0.04
        assert tuple(told["device_ops"]) == decision.device_ops
        text = answer(capsys, "decide", project.file, bandwidth, *asked)
        assert text.startswith(f"{decision.cut_id}: ") and decision.why in text


def test_outside_the_box_is_said_though_the_decision_is_optimal(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert main(["decide", str(project.file), "20bps"]) == 0
    printed = capsys.readouterr()
    assert "outside what was compiled for: uplink 20 bit/s, not 50 kbit/s to 10 Gbit/s" in printed.err
    assert main(["decide", str(project.file), "20bps", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outside"] == ["uplink 20 bit/s, not 50 kbit/s to 10 Gbit/s"]


@pytest.mark.parametrize("asked", [("20",), ("1Mbps", "--rtt", "40"), ("1Mbps", "--downlink", "5")])
def test_numbers_without_a_unit_are_refused(
    asked: tuple[str, ...], capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert main(["decide", str(project.file), *asked]) == 2
    assert f"no unit: {asked[-1]} what?" in capsys.readouterr().err
