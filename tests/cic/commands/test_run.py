"""`cic run` takes as long as the link does, and about as long as predicted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from tests.cic.conftest import MACHINES, SMALL, Project, answer, run_cic
from tests.codegen.unverified import unverified_bundles

pytestmark = pytest.mark.usefixtures("in_project")


def test_run_takes_as_long_as_the_link_and_about_as_long_as_predicted(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    asked = ("--bandwidth", "1Mbps", "--rtt", "30ms", "--cut", "server-only", "--repeat", "3", "--check", "--json")
    told = json.loads(answer(capsys, "run", project.split, project.file, *asked))
    serialisation_s = 8 * (told["upload_bytes"] + told["download_bytes"]) / 1e6 + 0.03
    assert all(latency >= serialisation_s for latency in told["latencies_s"])
    assert told["predicted"]["latency_s"] >= serialisation_s
    # Nearly all of it is the link, so whose processor the prediction is for does not matter; but the machine may be busy.
    assert told["measured"]["latency_s"] < 3 * told["predicted"]["latency_s"]
    assert told["relative_error"] <= 1e-4
    assert told["sent_bytes"] > told["upload_bytes"]


def test_run_takes_the_cut_that_decide_names(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    for bandwidth in ("50kbps", "10Gbps"):
        told = json.loads(
            answer(capsys, "run", project.split, project.file, "--bandwidth", bandwidth, "--repeat", "1", "--json")
        )
        assert told["cut"] == cic.load(project.file).decide(bandwidth).cut_id


@pytest.mark.real_interpreter
def test_run_works_as_users_start_it(project: Project) -> None:
    asked = ("--bandwidth", "20Mbps", "--cut", "server-only", "--input", "photo", "--repeat", "2")
    done = run_cic("run", "small.split", "small.cic", *asked, cwd=project.directory)
    assert done.returncode == 0, done.stderr
    assert "server-only at 20 Mbit/s" in done.stdout and "measured" in done.stdout


def test_a_batch_is_compiled_decided_emitted_and_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, split = tmp_path / "open.cic", tmp_path / "open.split"
    told = answer(capsys, "compile", *SMALL, *MACHINES, "--dynamic", "image=0", "-o", file)
    assert "every cut that can be optimal, at batch 1" in told
    decided = json.loads(answer(capsys, "decide", file, "20Mbps", "--batch", "8", "--json"))
    assert decided["batch"] == 8 and "batch 8" in decided["why"]
    with unverified_bundles():
        shown = answer(
            capsys, "emit", "small_networks:Small", file, "-o", split, "--cut", "server-only", "--greatest-batch", "4"
        )
    assert "Nx3x64x64" in shown
    asked = ("--bandwidth", "100Mbps", "--cut", "server-only", "--batch", "3", "--repeat", "1", "--check", "--json")
    ran = json.loads(answer(capsys, "run", split, file, *asked))
    assert ran["relative_error"] <= 1e-4
    assert ran["upload_bytes"] == 3 * 3 * 64 * 64 * 4 < ran["sent_bytes"]
    assert main(["run", str(split), str(file), *asked[:4], "--batch", "5"]) == 2
    assert "batch up to 4" in capsys.readouterr().err
