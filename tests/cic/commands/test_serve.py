"""The command serves until it is told to end, and says in one line why it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cic.cli import main
from tests import warm_python
from tests.cic.conftest import ROOT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_told_to(number: signal.Signals, mixed_bundle: Path) -> None:
    command = [warm_python.executable(), "-m", "cic", "serve", str(mixed_bundle), "--port", "0", "--engine", "torchscript"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, stdout=sys.stderr) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert told.startswith("serving mixed_server-only, mixed_wide-1.2 on http://127.0.0.1:"), told + process.stderr.read()
        with urllib.request.urlopen(f"{told.split()[-1]}/v2/health/ready", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert (process.wait(20), process.stderr.read()) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.split"], "absent.split is no directory"),
        (["BUNDLE", "--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from elsewhere"),
        (["BUNDLE", "--port", "70000"], "--port 70000 is no port"),
        (["BUNDLE", "--threads", "0"], "--threads 0 must be at least 1"),
        (["BUNDLE", "--grace", "soon"], "--grace"),
        (["BUNDLE", "--token-file", "absent"], "cannot read absent"),
        (["BUNDLE", "--tls-key", "key.pem"], "needs both"),
        (["BUNDLE", "--engine", "abacus"], "there is no engine 'abacus'"),
        (["BUNDLE", "--name", "a/b"], "cannot be part of an address"),
    ],
)
def test_it_says_in_one_line_why_it_cannot(
    arguments: list[str], told: str, mixed_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(mixed_bundle) if each == "BUNDLE" else each for each in arguments]
    assert main(["serve", "--port", "0", *given]) == 2
    said = capsys.readouterr().err
    assert told in said and said.startswith("cic: ") and said.count("\n") == 1
