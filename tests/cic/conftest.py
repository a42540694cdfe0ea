"""A small network with its splitting model and emitted halves, made once by the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cic.cli import main
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from tests import warm_python
from tests.cic.inception import compiled, images, network  # noqa: F401 - fixtures
from tests.cic.tiered_parts import shrinking, tiered, tiered_parts  # noqa: F401 - fixtures
from tests.cic.trace.onnx.exported import exported  # noqa: F401 - a fixture
from tests.codegen.mixed_types import write_mixed_bundle
from tests.codegen.onnx_models import plumbing, save
from tests.codegen.unverified import unverified_bundles

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ("--device", "raspberry-pi-4", "--server", "v100")
SMALL = ("small_networks:Small", "--input", "1x3x64x64")

SOURCE = '''
import torch
from torch import nn


class Small(nn.Module):
    """An image in, a vector out; tensors shrink, so that each of its cuts is best somewhere."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.last = nn.Linear(128, 10)

    def forward(self, image):
        small = nn.functional.max_pool2d(torch.relu(self.first(image)), 2)
        return self.last(nn.functional.adaptive_avg_pool2d(torch.relu(self.second(small)), 2).flatten(1))


class Similar(Small):
    """Takes what Small takes and computes something else."""

    def forward(self, image):
        return torch.sigmoid(super().forward(image))


class TwoInputs(nn.Module):
    """Takes an argument by name and returns a dict, one entry of which is made early."""

    def __init__(self):
        super().__init__()
        self.words, self.last = nn.Embedding(50, 64), nn.Linear(64, 4)

    def forward(self, ids, mask=None):
        hidden = torch.tanh(self.words(ids)) * mask.unsqueeze(-1)
        return {"hidden": hidden, "scores": (self.last(hidden.mean(1)),)}


class NeedsData(Small):
    """Cannot be traced: its control flow depends on values."""

    def forward(self, image):
        return super().forward(image if image.sum() > 0 else -image)


NOT_A_MODEL = 3
'''


@dataclass(frozen=True)
class Project:
    """A user's working directory: small_networks.py, small.cic and small.split/."""

    directory: Path
    file: Path
    split: Path


def run_cic(*arguments: object, cwd: Path, interpreter: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user starts it, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [interpreter or sys.executable, "-m", "cic", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Standard output of a command that succeeds, run in this process."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    directory = tmp_path_factory.mktemp("project")
    (directory / "small_networks.py").write_text(SOURCE)
    file, split = directory / "small.cic", directory / "small.split"
    for arguments in (
        ("compile", *SMALL, *MACHINES, "--rtt", "100us", "-o", file),
        ("emit", "small_networks:Small", file, "-o", split),
    ):
        done = run_cic(*arguments, cwd=directory, interpreter=warm_python.executable())
        assert done.returncode == 0, done.stderr
    return Project(directory, file, split)


@pytest.fixture(scope="session")
def mixed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cuts whose tails take and return tensors of four types and of no dimension, as TorchScript."""
    with unverified_bundles():
        return write_mixed_bundle(tmp_path_factory.mktemp("mixed"), ["torchscript"])


@pytest.fixture(scope="session")
def onnx_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cuts of a model that is ONNX from the start, tensors of which are passed on."""
    folder = tmp_path_factory.mktemp("onnx")
    traced = trace_onnx(save(plumbing(), folder / "plumbing.onnx"))
    early = frozenset({"first", "relu_of_view"})
    plans = [CutPlan("cut-1", early, ()), CutPlan("server-only", frozenset(), ())]
    with unverified_bundles():
        write_bundle(folder / "plumbing.split", traced.source, plans)
    return folder / "plumbing.split"


@pytest.fixture
def in_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs in the user's directory and can import what is there."""
    monkeypatch.chdir(project.directory)
    monkeypatch.syspath_prepend(str(project.directory))
    yield
    sys.modules.pop("small_networks", None)
