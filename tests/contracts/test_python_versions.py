"""The device half runs on Python 3.10, which JetPack and Ubuntu 22.04 have, and on whatever newer one is to be had here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from tests.contracts.source_files import ROOT, name_of, product_files
from tests.interpreters import VERSIONS, interpreter

pytestmark = pytest.mark.real_interpreter

OLDEST = VERSIONS[0]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("versions") / "model.cic"
    network = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 8, 3, 2), nn.Flatten(), nn.Linear(8 * 15 * 15, 10))
    cic.compile(network, (torch.zeros(1, 3, 64, 64),), device="raspberry-pi-4", server="epyc-7742").save(path)
    return path


def run(version: str, code: str, *arguments: object) -> str:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    command = [python, "-s", "-B", "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_answers_the_same(version: str, model_file: Path) -> None:
    code = """
import sys
import cic
from cic.cli import main
model = cic.load(sys.argv[1])
for uplink in ("1Mbps", "20Mbps", "1Gbps"):
    print(model.decide(uplink, rtt="40ms", device_slowdown=1.3))
for command in (["decide", sys.argv[1], "20Mbps"], ["show", sys.argv[1]], ["machines"]):
    main(command)
"""
    model = cic.load(model_file)
    expected = [repr(model.decide(uplink, rtt="40ms", device_slowdown=1.3)) for uplink in ("1Mbps", "20Mbps", "1Gbps")]
    assert run(version, code, model_file).splitlines()[:3] == expected


def test_the_oldest_python_reads_every_file() -> None:
    """vermin, which `make lint` runs, knows newer syntax and names; this is the word of the interpreter itself."""
    files = [name_of(path) for path in product_files()]
    code = """
import sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")
print(len(sys.argv) - 1)
"""
    assert int(run(OLDEST, code, *files)) == len(files) > 300


def test_what_pip_is_told_is_what_is_tested() -> None:
    assert re.search(rf'^requires-python = ">={re.escape(OLDEST)}"$', ROOT.joinpath("pyproject.toml").read_text(), flags=re.M)
    assert f"-t={OLDEST}-" in ROOT.joinpath("Makefile").read_text()
