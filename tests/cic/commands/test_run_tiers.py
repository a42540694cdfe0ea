"""`cic run` of a tiered model: a process for each machine, over links that are no faster than they are told to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.commands import run_tiers
from tests.cic.conftest import answer


def test_cic_run_rehearses_three_processes(
    capsys: pytest.CaptureFixture[str], tiered: cic.TieredModel, tiered_parts: Path, tmp_path: Path
) -> None:
    tiered.save(tmp_path / "small.tiers")
    asked = ("--bandwidth", "8Mbps,80Mbps", "--rtt", "20ms,10ms", "--cut", tiered.cuts[0].id, "--repeat", "2", "--check")
    told = json.loads(answer(capsys, "run", tiered_parts, tmp_path / "small.tiers", *asked, "--json"))
    cut = tiered.cuts[0]
    up, down = cut.upload_bytes, cut.download_bytes
    least_s = 0.03 + 8 * ((up[0] + down[0]) / 8e6 + (up[1] + down[1]) / 80e6)
    assert all(latency >= least_s for latency in told["latencies_s"]), "no link is faster than it is told to be"
    assert told["relative_error"] <= 1e-4
    assert told["ops"] == [len(cut.ops(tier)) for tier in range(3)]
    assert all(told["ops"])
    shown = answer(capsys, "run", tiered_parts, tmp_path / "small.tiers", *asked)
    assert "ops on tesla-v100; predicted for these, measured on this machine" in shown


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says that refuses."""
    assert main([str(argument) for argument in arguments]) != 0
    return capsys.readouterr().err


def test_what_does_not_fit_is_refused(
    capsys: pytest.CaptureFixture[str], tiered: cic.TieredModel, tiered_parts: Path, tmp_path: Path
) -> None:
    tiered.save(tmp_path / "small.tiers")
    start = ("run", tiered_parts, tmp_path / "small.tiers", "--bandwidth")
    assert "give 2 values" in refusal(capsys, *start, "8Mbps")
    assert "has no cut 'cut-99'" in refusal(capsys, *start, "8Mbps,8Mbps", "--cut", "cut-99")
    assert "--repeat 0" in refusal(capsys, *start, "8Mbps,8Mbps", "--repeat", "0")
    assert run_tiers.TOLERANCE == 1e-4
