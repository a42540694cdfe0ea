"""`emit_tiers`: the parts of a model of torch and of an ONNX file, verified; another model is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import cic
from cic.errors import ArgumentError, ArtifactError, EmitError
from tests.cic.tiered_parts import TIERS, Shrinking, X
from tests.codegen import onnx_models
from tests.codegen.onnx_models import save


def test_parts_in_a_row_are_the_model(shrinking: Shrinking, tiered: cic.TieredModel, tiered_parts: Path) -> None:
    chain = cic.load_tiered_cut(tiered_parts, tiered.cuts[0].id)
    assert len(chain.parts) == 2
    x = torch.randn(1, 3, 64, 64)
    expected = shrinking(x)
    for name, result in chain(x).items():
        torch.testing.assert_close(result, expected[name], rtol=1e-4, atol=1e-5)
    with pytest.raises(ArtifactError, match="does not hold the cut"):
        cic.load_tiered_cut(tiered_parts, "cut-99")


def test_parts_of_an_onnx_file(tmp_path: Path) -> None:
    path = save(onnx_models.branching(), tmp_path / "branching.onnx")
    names = [op.name for op in cic.trace_model(path).graph.ops]
    model = cic.compile_tiers(path, tiers=TIERS, pins={names[0]: 0, names[1]: 1, names[-1]: 2})
    chain = cic.emit_tiers(path, model, tmp_path / "parts", cuts=[model.cuts[0].id])
    assert len(chain.steps[model.cuts[0].id]) == 2
    loaded = cic.load_tiered_cut(tmp_path / "parts", model.cuts[0].id)
    (given,) = cic.trace_model(path).kwargs.values()
    assert next(iter(loaded(given).values())).shape == (2, 4)


def test_a_cut_that_stays_on_the_device_has_one_part(shrinking: Shrinking, tmp_path: Path) -> None:
    model = cic.compile_tiers(shrinking, (X,), tiers=TIERS)
    chain = cic.emit_tiers(shrinking, model, tmp_path / "parts", cuts=["device-only"])
    assert len(chain.steps["device-only"]) == 1
    torch.testing.assert_close(cic.load_tiered_cut(tmp_path / "parts", "device-only")(X), shrinking(X), rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused(
    shrinking: Shrinking, tiered: cic.TieredModel, tiered_parts: Path, tmp_path: Path
) -> None:
    with pytest.raises(EmitError, match="is not the one that was compiled as Shrinking"):
        cic.emit_tiers(torch.nn.Conv2d(3, 3, 3), tiered, tmp_path / "parts")
    with pytest.raises(EmitError, match=r"cuts to emit are \['cut-99'\]"):
        cic.emit_tiers(shrinking, tiered, tmp_path / "parts", cuts=["cut-99"])
    with pytest.raises(EmitError, match="exists; a chain is written to a new directory"):
        cic.emit_tiers(shrinking, tiered, tiered_parts)
    with pytest.raises(ArgumentError, match="the tiered model is"):
        cic.emit_tiers(shrinking, "small.tiers", tmp_path / "parts")
