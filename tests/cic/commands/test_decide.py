"""`cic decide` says what the library says."""

from __future__ import annotations

import json

import pytest

import cic
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
