"""Equal weights of bundles become one file, each bundle stays whole, and damage is not spread."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, check_own
from codegen.errors import CodegenError
from codegen.loading import files_of
from codegen.manifest import read_manifest
from codegen.weights.linked_weights import link_weights
from codegen.weights.shared_weights import check_file, weight_path
from tests.codegen.flat_module import flat_module
from tests.codegen.unverified import unverified  # noqa: F401


@pytest.fixture
def bundles(tmp_path: Path) -> list[Path]:
    """Two of one model at two sizes, the second with a weight of its own."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)
    places = []
    for size, last in ((8, nn.ReLU()), (16, nn.Conv2d(32, 64, 3))):
        traced = flat_module(nn.Sequential(*layers, last).eval(), (torch.randn(1, 3, size, size),))
        places.append(tmp_path / f"{size}.split")
        write_bundle(places[-1], traced.source, [CutPlan("server-only", frozenset(), ())], storage="shared")
    return places


def test_equal_weights_become_one_file(bundles: list[Path], tmp_path: Path) -> None:
    first, second = ({sha256: bundle / weight_path(sha256) for sha256 in read_manifest(bundle).weights} for bundle in bundles)
    both = first.keys() & second.keys()
    assert both and second.keys() - both
    assert link_weights(bundles) == sum(first[sha256].stat().st_size for sha256 in both)
    assert all(os.path.samefile(first[sha256], second[sha256]) for sha256 in both)
    assert link_weights(bundles) == 0 and sorted(tmp_path.iterdir()) == sorted(bundles)
    shutil.rmtree(bundles[0])
    check_own(bundles[1])
    for record in files_of(bundles[1], "server-only", "tail"):
        check_file(bundles[1], record)


def test_a_damaged_weight_takes_no_other_one_s_place(bundles: list[Path]) -> None:
    sha256 = next(iter(read_manifest(bundles[0]).weights.keys() & read_manifest(bundles[1]).weights.keys()))
    for damaged, whole in (bundles, bundles[::-1]):
        kept = (damaged / weight_path(sha256)).read_bytes()
        (damaged / weight_path(sha256)).write_bytes(bytes(len(kept)))
        with pytest.raises(CodegenError, match=r"SHA-256|digest"):
            link_weights(bundles)
        assert (whole / weight_path(sha256)).read_bytes() == kept
        (damaged / weight_path(sha256)).write_bytes(kept)


def test_without_links_weights_stay_files_of_their_own(bundles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    before = {path: path.stat().st_ino for bundle in bundles for path in bundle.rglob("*")}
    assert link_weights(bundles) == 0
    assert {path: path.stat().st_ino for bundle in bundles for path in bundle.rglob("*")} == before
