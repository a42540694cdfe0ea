"""The emitted small model as tests of running it take it."""

from __future__ import annotations

import pytest
import torch

import cic
from cic.runtime.tail_process import load_tail
from codegen.loading import LoadedCut
from tests.cic.conftest import Project


@pytest.fixture
def model(project: Project) -> cic.SplittingModel:
    return cic.load(project.file)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64)


@pytest.fixture(scope="module")
def tail(project: Project) -> LoadedCut:
    return load_tail(str(project.split), "server-only", "torchscript")
