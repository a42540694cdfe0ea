"""`cic emit` over what is there: another training goes in its place when that is asked for, and only then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cic
from cic.cli import main
from codegen.manifest import read_manifest
from tests.cic.conftest import MACHINES, Project, answer
from tests.codegen.unverified import unverified  # noqa: F401 - processes that run halves take seconds

_NETWORKS = """
import torch

def training(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4)).eval()

def one(): return training(1)
def other(): return training(2)
"""


def test_another_training_is_put_in_place_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two_trainings.py").write_text(_NETWORKS)
    assert main(["compile", "two_trainings:one", "--input", "1x6", *MACHINES, "-o", "m.cic"]) == 0
    emit = ["emit", "m.cic", "-o", "m.split", "--cut"]

    def emitted(network: str, *options: str) -> int:
        return main([emit[0], f"two_trainings:{network}", *emit[1:], *options])

    assert emitted("one", "server-only") == emitted("one", "device-only") == 0
    before = read_manifest(tmp_path / "m.split")
    assert {cut.id for cut in before.cuts} == {"server-only", "device-only"}
    capsys.readouterr()
    assert emitted("other", "server-only") == 2
    assert "--replace" in capsys.readouterr().err and read_manifest(tmp_path / "m.split") == before
    assert emitted("other", "server-only", "--replace") == 0
    after = read_manifest(tmp_path / "m.split")
    assert [cut.id for cut in after.cuts] == ["server-only"] and after.weights_digest != before.weights_digest
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        "m.cic",
        "m.split",
        "two_trainings.py",
    ]


@pytest.mark.usefixtures("in_project")
def test_emit_writes_only_the_cuts_asked_for(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    split = tmp_path / "two.split"
    said = answer(
        capsys, "emit", "small_networks:Small", project.file, "-o", split, "--cut", "device-only", "--cut", "server-only"
    )
    assert {path.name for path in split.iterdir()} == {"manifest.json", "device-only", "server-only"}
    assert "torchscript" in said
    told = json.loads(answer(capsys, "show", project.file, "--emitted", split, "--json"))
    assert told["emitted"] == ["device-only", "server-only"]
    assert told["head_bytes"]["device-only"] > told["head_bytes"]["server-only"] > 0, "weights are on the device"
    table = answer(capsys, "show", project.file, "--emitted", split).splitlines()
    emitted = {line.split()[0]: line.split()[-1] for line in table[2 : 2 + len(cic.load(project.file).cuts)]}
    assert emitted == {cut: "yes" if cut in told["emitted"] else "no" for cut in cic.load(project.file).cut_by_id}
