"""Halves of every size answer what the model answers, and a weight that sizes share is one file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.emission.sized_emission import emit_sizes
from cic.errors import ArgumentError, EmitError
from tests.cic.inception import STRONG, WEAK


def test_sizes_share_their_weights_and_answer_for_themselves(network: nn.Module, tmp_path: Path) -> None:
    images = {size: (torch.rand(1, 3, size, size),) for size in (32, 48)}
    sized = cic.compile_sizes(network, images, device=WEAK, server=STRONG, most_cuts=2)
    sized.save(tmp_path / "model.sizes")
    manifests = emit_sizes(network, sized, tmp_path / "model.sizes", cuts=["server-only"], each={48: {"tolerance": 1e-3}})
    assert sorted(path.name for path in (tmp_path / "model.sizes").iterdir()) == ["32.cic", "32.split", "48.cic", "48.split"]
    assert [manifest.name for manifest in manifests.values()] == [sized.at(size).name for size in images]
    kept = [{path.name: path for path in (tmp_path / "model.sizes" / f"{size}.split" / "weights").iterdir()} for size in images]
    both = kept[0].keys() & kept[1].keys()
    own = sum(value.nbytes for value in network.state_dict().values() if value.nbytes >= 4096)
    assert sum(kept[0][name].stat().st_size for name in both) >= 0.8 * own > 0
    assert all(os.path.samefile(kept[0][name], kept[1][name]) for name in both)
    shutil.rmtree(tmp_path / "model.sizes" / "32.split")
    cut = cic.load_cut(tmp_path / "model.sizes" / "48.split", "server-only")
    with torch.no_grad():
        torch.testing.assert_close(cut.tail(*cut.head(*images[48])), network(*images[48]), rtol=1e-4, atol=1e-5)


def test_what_is_no_sized_model_is_refused(network: nn.Module, tmp_path: Path) -> None:
    images = {32: (torch.rand(1, 3, 32, 32),)}
    sized = cic.compile_sizes(network, images, device=WEAK, server=STRONG)
    with pytest.raises(ArgumentError, match="the sized model is"):
        emit_sizes(network, sized.at(32), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="each names the size 48; there are 32"):
        emit_sizes(network, sized, tmp_path, each={48: {}})
    with pytest.raises(EmitError, match="cannot write"):
        emit_sizes(network, sized, tmp_path / "absent" / "model.sizes")
    assert not list(tmp_path.iterdir())
