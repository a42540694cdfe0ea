"""A server that dies or cannot start is told, with what it said."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import cic
from cic.errors import LinkError
from cic.runtime import rehearsal as rehearsal_module
from cic.runtime.rehearsal import Rehearsal
from tests.cic.conftest import Project
from tests.cic.runtime.small_split import FAST, whole_answer


def test_device_only_starts_no_process(
    project: Project, model: cic.SplittingModel, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(rehearsal_module, "ServerProcess", refuse)
    with Rehearsal(project.split, model.cut_by_id["device-only"], FAST) as session:
        inputs = session.flatten((image,), {})
        session.warm_up(inputs)
        answer, timing = session.infer(inputs)
    assert torch.equal(answer, whole_answer(project, image))
    assert timing.device_s == timing.latency_s > 0


def test_a_server_that_dies_is_told(project: Project, model: cic.SplittingModel, image: torch.Tensor) -> None:
    with Rehearsal(project.split, model.cut_by_id["server-only"], FAST, patience_s=20.0) as session:
        inputs = session.flatten((image,), {})
        session.infer(inputs)
        assert session._server is not None
        session._server._process.kill()
        session._server._process.wait()
        # What is killed may be the stand-in of a process that ends a little later.
        end_s = time.monotonic() + 10
        with pytest.raises(LinkError, match=r"closed the connection|broke"):
            while time.monotonic() < end_s:
                session.infer(inputs)


def test_a_server_that_cannot_start_says_why(project: Project, model: cic.SplittingModel, tmp_path: Path) -> None:
    split = tmp_path / "damaged.split"
    shutil.copytree(project.split, split)
    tail = split / "server-only" / "tail.ts"
    content = bytearray(tail.read_bytes())
    content[len(content) // 2] ^= 1
    tail.write_bytes(content)
    with pytest.raises(LinkError, match=r"did not start: .*tail\.ts has SHA-256"):
        Rehearsal(split, model.cut_by_id["server-only"], FAST)
    tail.unlink()
    with pytest.raises(LinkError, match=r"did not start: .*tail\.ts is missing"):
        Rehearsal(split, model.cut_by_id["server-only"], FAST)
