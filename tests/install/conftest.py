"""The wheel in fresh virtualenvs: `make test-install`. Each takes its packages from PyPI, so `make test` leaves them out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import cic
from tests import warm_python
from tests.contracts.source_files import ROOT
from tests.install.virtualenv import Virtualenv, fresh

collect_ignore_glob = [] if os.environ.get("CIC_TEST_INSTALL") else ["test_*.py"]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel, where pip finds it under the name that README.md gives."""
    directory = tmp_path_factory.mktemp("wheels")
    command = [warm_python.REAL, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), str(ROOT)]
    subprocess.run(command, check=True)
    assert len(list(directory.glob("cic_compiler-*.whl"))) == 1
    return directory


@pytest.fixture
def virtualenv(wheels: Path, tmp_path: Path) -> Virtualenv:
    """A fresh one with the Python that runs the tests, and with nothing in it."""
    return fresh(tmp_path / "venv", wheels)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was compiled and emitted elsewhere: model.cic, onnx.split, a picture and the answer that the model gives to it."""
    directory = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 7, 10)
    ).eval()
    image = torch.rand(1, 3, 32, 32)
    model = cic.compile(network, (image,), device="raspberry-pi-4", server="epyc-7742", precision="int8")
    model.save(directory / "model.cic")
    cic.emit(network, model, directory / "onnx.split", formats=["onnx"])
    with torch.no_grad():
        numpy.savez(directory / "call.npz", image=image.numpy(), answer=network(image).numpy())
    return directory
