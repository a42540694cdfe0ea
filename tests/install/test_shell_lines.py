"""Every shell line of README.md and of the pages of docs runs as it is written, in order, in a fresh virtualenv."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT
from tests.install.pages import Terminal, missing_for_network, network, shell_lines
from tests.install.virtualenv import TORCHVISION, Virtualenv

pytestmark = pytest.mark.skipif(missing_for_network() is not None, reason=str(missing_for_network()))

PAGES = ("README.md", "docs/profiles.md", "docs/serving.md", "docs/triton.md", "docs/deploy.md")
ELSEWHERE = ("make demo", "make test")
"""Lines that set up a virtualenv of their own from a clone."""


def test_every_page_with_shell_lines_is_run() -> None:
    pages = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```sh\n" in path.read_text()]
    assert {path.relative_to(ROOT).as_posix() for path in pages} == set(PAGES)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with network() as name:
        yield name


@pytest.fixture
def terminal(virtualenv: Virtualenv, namespace: str, tmp_path: Path) -> Iterator[Terminal]:
    """In an empty directory, with CIC, ONNX, a server and torchvision installed as README.md says."""
    virtualenv.install("cic-compiler[compile,onnx,serve]")
    virtualenv.install("--no-deps", TORCHVISION)
    directory = tmp_path / "here"
    directory.mkdir()
    opened = Terminal(directory, virtualenv.environment, namespace)
    yield opened
    opened.stop()


def test_the_lines_of_the_readme_and_of_the_pages_that_go_on_from_there(terminal: Terminal) -> None:
    """The pages on profiles, serving and Triton name the files that the README made."""
    for line in shell_lines("README.md"):
        if not line.startswith(ELSEWHERE):
            terminal.run(line)
    asked = "cic run resnet50.split resnet50.cic --server http://127.0.0.1:8000 --json --cut server-only"
    assert "remote" in terminal.run(asked)
    terminal.stop()
    for line in shell_lines("docs/triton.md"):
        # The second one names a cut and a format that the bundle has to have.
        chosen = line.replace("--cut ID", "--cut server-only")
        if "--tail-format onnx" in line:
            (terminal.directory / "onnx").mkdir()
            terminal.run("cic emit torchvision:resnet50 resnet50.cic --format onnx -o onnx/resnet50.split --cut server-only")
            chosen = chosen.replace("resnet50.split", "onnx/resnet50.split")
        terminal.run(chosen)
    _profiles(terminal)
    _serving(terminal)


def _profiles(terminal: Terminal) -> None:
    shutil.copy(terminal.directory / "repository/resnet50-v2_server-only/1/model.onnx", terminal.directory / "model.onnx")
    for line in shell_lines("docs/profiles.md"):
        if line.startswith("cic calibrate"):
            terminal.run("cic serve resnet50.split --host 0.0.0.0 --insecure")
        terminal.run(line)
    terminal.stop()


def _serving(terminal: Terminal) -> None:
    install, serve, ask = shell_lines("docs/serving.md")
    terminal.run(install)
    terminal.run(serve)
    # The small model of the last line takes four numbers.
    (terminal.directory / "nets.py").write_text(
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.Linear(4, 2000), nn.ReLU(), nn.Linear(2000, 2000), nn.ReLU(), nn.Linear(2000, 9))\n"
    )
    terminal.run("cic compile nets:net --input 1x4 --device raspberry-pi-4 --server epyc-7742 -o net.cic")
    terminal.run("cic emit nets:net net.cic -o net.split --cut server-only")
    terminal.run("cic serve net.split")
    answer = json.loads(terminal.run(ask))
    assert answer["outputs"][0]["shape"] == [1, 9]


def test_from_an_empty_server_and_an_empty_device(terminal: Terminal, namespace: str, tmp_path: Path) -> None:
    """docs/deploy.md: three directories stand for the machines, and a scp that copies between them for the way."""
    lines = shell_lines("docs/deploy.md")
    compiled, server_side, device_side, kept = lines[:2], lines[2:4], lines[4:7], lines[7:]
    for line in compiled:
        terminal.run(line)
    machines = {name: tmp_path / name for name in ("server", "device")}
    for place in machines.values():
        place.mkdir()
    for name in ("model.cic", "model.split"):
        subprocess.run(["cp", "-r", str(terminal.directory / name), str(machines["server"])], check=True)
    scp = tmp_path / "bin" / "scp"
    scp.parent.mkdir()
    scp.write_text(f'#!/bin/sh\ncp -r "{machines["server"]}/model.split" "{machines["server"]}/model.cic" .\n')
    scp.chmod(0o755)
    environment = {**terminal.environment, "PATH": f"{scp.parent}:/usr/bin:/bin:{terminal.environment['PATH']}"}
    server, device = (Terminal(place, environment, namespace) for place in machines.values())
    try:
        for line in server_side:
            server.run(line)
        for line in device_side:
            device.run(line)
        assert "server" in device.ran[device_side[-1]]
        server.stop()
        *secrets, serve, run = kept
        for line in secrets:
            server.run(line)
        shutil.copy(machines["server"] / "certificate.pem", machines["device"])
        shutil.copy(machines["server"] / "token", machines["device"])
        server.run(serve)
        device.run(run)
    finally:
        server.stop()
