"""The process of a verification may be started before there is anything to verify, and is gone afterwards in any case."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from codegen.errors import CodegenError
from codegen.verification import fresh_halves
from codegen.verification.fresh_halves import run_fresh, started_ahead

REQUEST = {"directory": "nowhere", "half": "head", "format": "torchscript", "jobs": [], "optimize": False}


def test_a_process_that_was_started_ahead_is_used_once_and_ends(tmp_path: Path) -> None:
    with started_ahead():
        (process,) = fresh_halves._ahead
        run_fresh([REQUEST], tmp_path, None)
        assert not fresh_halves._ahead
        assert process.returncode == 0
        run_fresh([REQUEST, {**REQUEST, "half": "tail"}], tmp_path, None)


def test_a_process_that_nobody_needed_is_ended() -> None:
    processes: list[subprocess.Popen[str]] = []

    def refused() -> None:
        with started_ahead():
            processes.extend(fresh_halves._ahead)
            raise CodegenError("a half cannot be written")

    with pytest.raises(CodegenError, match="cannot be written"):
        refused()
    assert processes[0].returncode is not None and not fresh_halves._ahead


def test_a_process_that_died_before_its_request_is_told_of(tmp_path: Path) -> None:
    with started_ahead():
        fresh_halves._ahead[0].kill()
        fresh_halves._ahead[0].wait()
        asked = {**REQUEST, "jobs": [{"cut": "cut-0", "inputs": [], "results": []}]}
        with pytest.raises(CodegenError, match="verifies each head ended with code -9: it said nothing"):
            run_fresh([asked], tmp_path, None)
    assert json.loads((tmp_path / "request-head.json").read_text())["threads"] >= 1
