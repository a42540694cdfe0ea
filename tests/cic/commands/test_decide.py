"""`cic decide` says what the library says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import cic
from cic.cli import main
from cic.decision.quantile import QuantileDecision
from cic.decision.throughput import ThroughputDecision
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


def test_decide_by_energy_says_what_the_library_says(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    power = "compute=4.2W,send=3W,receive=3W,wait=800mW"
    told = json.loads(answer(capsys, "decide", project.file, "2Mbps", "--power", power, "--json"))
    decision = cic.load(project.file).decide("2Mbps", objective=cic.Energy(4.2, 3, 3, 0.8))
    assert (told["cut"], told["energy_j"], told["why"]) == (decision.cut_id, decision.energy_j, decision.why)  # type: ignore[attr-defined]
    assert decision.why in answer(capsys, "decide", project.file, "2Mbps", "--power", power)


def test_powers_are_known_by_the_names_of_board_and_radio(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    told = json.loads(answer(capsys, "decide", project.file, "2Mbps", "--power", "rpi4/lte", "--json"))
    decision = cic.load(project.file).decide("2Mbps", objective=cic.energy_of("raspberry-pi-4b", "lte"))
    assert told["energy_j"] == decision.energy_j  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("power", "said"),
    [
        ("raspberry-pi-4b/5g", "no radio '5g'"),
        ("compute=4W", "names compute; write compute=…, send=…"),
        ("4W", "write it as NAME=VALUE"),
        ("compute=4,send=3W,receive=3W,wait=1W", 'compute \'4\' has no unit: 4 what. Write "4W" or "4mW"'),
        ("compute=4W,send=3V,receive=3W,wait=1W", "send '3V' has the unknown unit 'V'"),
        ("compute=4W,send=0W,receive=3W,wait=1W", "send '0W' is 0; it must be a finite number above 0"),
    ],
)
def test_powers_that_cannot_be_understood_are_refused(
    capsys: pytest.CaptureFixture[str], project: Project, power: str, said: str
) -> None:
    assert main(["decide", str(project.file), "2Mbps", "--power", power]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_decide_with_a_limit_says_what_the_library_says(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    power, energy = "compute=4.2W,send=3W,receive=3W,wait=800mW", cic.Energy(4.2, 3, 3, 0.8)
    model = cic.load(project.file)
    fastest = model.decide("2Mbps").latency_s
    for limit, objective in (
        (("--deadline", f"{fastest * 1.2}s"), energy.with_deadline(fastest * 1.2)),
        (("--budget", "1kJ"), energy.with_budget("1kJ")),
    ):
        told = json.loads(answer(capsys, "decide", project.file, "2Mbps", "--power", power, *limit, "--json"))
        decision = model.decide("2Mbps", objective=objective)
        assert (told["cut"], told["gap"], told["optimal"]) == (decision.cut_id, decision.gap, decision.optimal)  # type: ignore[attr-defined]
        assert told["energy_j"] == decision.energy_j  # type: ignore[attr-defined]


def test_limits_that_cannot_be_kept_or_understood_are_refused(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    power = ("--power", "compute=4.2W,send=3W,receive=3W,wait=800mW")
    for asked, said in (
        (("--deadline", "80ms"), "needs --power"),
        ((*power, "--deadline", "1ns"), "keeps to 1 ns at 2 Mbit/s: the fastest"),
        ((*power, "--budget", "80"), "no unit: 80 what"),
    ):
        assert main(["decide", str(project.file), "2Mbps", *asked]) == 2
        assert said in capsys.readouterr().err


def test_decide_by_throughput_says_what_the_library_says(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("decide", project.file, "2Mbps", "--objective", "throughput")
    told = json.loads(answer(capsys, *asked, "--json"))
    decision = cic.load(project.file).decide("2Mbps", objective="throughput")
    assert isinstance(decision, ThroughputDecision)
    assert (told["cut"], told["interval_s"], told["why"]) == (decision.cut_id, decision.interval_s, decision.why)
    assert told["optimal"] and told["source"] == "solver", "it was not compiled for streams"
    assert decision.why in answer(capsys, *asked)
    monkeypatch.setitem(sys.modules, "cic.decision.off_table.solving", None)
    assert main([str(each) for each in asked]) == 0
    assert "the cut known with most answers a second" in capsys.readouterr().err
    assert main([*map(str, asked), "--power", "rpi4/lte"]) == 2
    assert "--objective throughput and --power are both given" in capsys.readouterr().err


def test_decide_by_a_quantile_says_what_the_library_says(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    records = tmp_path / "run.jsonl"
    with cic.Session(project.split, project.file, records=records) as session:
        picture = np.zeros((1, 3, 64, 64), np.float32)
        for _ in range(20):
            session(picture)
    model = cic.load(project.file)
    decision = model.decide("2Mbps", quantile=0.9, intervals=cic.LatencyIntervals.from_records(records, model))
    assert isinstance(decision, QuantileDecision)
    asked = ("decide", project.file, "2Mbps", "--records", records)
    told = json.loads(answer(capsys, *asked, "--quantile", "0.9", "--json"))
    assert (told["cut"], told["upper_s"], told["quantile"], told["why"]) == (
        decision.cut_id,
        decision.upper_s,
        0.9,
        decision.why,
    )
    assert "in 0.95 of all cases" in answer(capsys, *asked)
    for wrong, words in ((("--quantile", "0.99"), "too few inferences"), (("--quantile", "high"), "--quantile")):
        assert main([*map(str, asked), *wrong]) == 2
        assert words in capsys.readouterr().err
    assert main(["decide", str(project.file), "2Mbps", "--quantile", "0.9"]) == 2
    assert "needs --records, too" in capsys.readouterr().err
