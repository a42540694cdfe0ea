"""What every test starts from: one torch thread, fixed seeds, and fresh processes that need not load torch anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

# Before torch is imported anywhere, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from tests import warm_python
from tests.quick_onnx_export import look_through_operators_once

torch.set_num_threads(1)
_server = pytest.StashKey[subprocess.Popen[bytes] | None]()

# The width of a terminal, which processes that share the tests are told, is none of a pipe's.
os.environ.pop("COLUMNS", None)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_server] = warm_python.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    server = config.stash.get(_server, None)
    if server is not None:
        warm_python.stop(server)


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _quick_onnx_export() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        look_through_operators_once(patch)
        yield


@pytest.fixture(scope="module", autouse=True)
def _warm_processes() -> Iterator[None]:
    """Processes that tests start are forks of one that has torch loaded: see `tests.warm_python`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python.executable())
        yield


@pytest.fixture(autouse=True)
def _real_interpreter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for tests marked `real_interpreter`, whose processes start from nothing as a user's do."""
    if request.node.get_closest_marker("real_interpreter"):
        monkeypatch.setattr(sys, "executable", warm_python.REAL)
