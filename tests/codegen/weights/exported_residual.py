"""A residual network and its export to ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codegen.formats.onnx_program import quiet_exporter
from tests.codegen.small_models import Residual, calibrated


@pytest.fixture(scope="session")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return calibrated(Residual(channels=128), example())


@pytest.fixture(scope="session")
def file(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "residual.onnx"
    with quiet_exporter():
        torch.onnx.export(network, (example(),), path, dynamo=True, verbose=False, external_data=False)
    return path


def example() -> torch.Tensor:
    return torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
