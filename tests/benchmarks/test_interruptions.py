"""A few of the interruptions that `python -m benchmarks.trust.interruptions` makes by the dozen."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

import cic
from benchmarks.trust.interruptions import hidden, interrupted, small_network
from tests.codegen.unverified import unverified  # noqa: F401 - processes that run halves take seconds

pytestmark = pytest.mark.real_interpreter


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "small.cic"
    example = (torch.rand(1, 3, 32, 32),)
    cic.compile(small_network(), example, device="raspberry-pi-4", server="epyc-7742").save(path)
    return path


@pytest.mark.parametrize(
    ("command", "number"), [("compile", signal.SIGTERM), ("emit", signal.SIGTERM), ("emit", signal.SIGKILL)]
)
def test_what_is_interrupted_is_old_or_new(command: str, number: signal.Signals, table: Path, tmp_path: Path) -> None:
    row = interrupted(command, tmp_path, table, number, 2, seed=1)
    assert row.faults == [] and row.endings.total() == 2
    assert hidden(tmp_path) == []
