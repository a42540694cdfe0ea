"""A small residual network, traced, and a bundle of four of its cuts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.formats.emitter import formats
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.small_models import Residual, calibrated


@pytest.fixture(scope="session")
def residual() -> tuple[nn.Module, FlatModule]:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 8, 8)
    model = calibrated(Residual(), example)
    return model, flat_module(model, (example,))


def plans_of(traced: FlatModule, count: int = 2) -> list[CutPlan]:
    names = ["server-only", "device-only", *(f"cut-{index}" for index in range(count))]
    sets = traced.random_closed_sets(count)
    return [CutPlan(name, nodes, tuple(sorted(nodes))) for name, nodes in zip(names, sets, strict=True)]


@pytest.fixture(scope="session")
def bundle(residual: tuple[nn.Module, FlatModule], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundles") / "residual.split"
    write_bundle(directory, residual[1].source, plans_of(residual[1]), formats=formats())
    return directory


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copied.split"))
