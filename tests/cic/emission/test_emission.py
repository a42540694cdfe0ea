"""Halves of an ONNX file are emitted, verified, and answer what the file answers; another model or format is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import cic
from cic.errors import EmitError
from cic.trace.onnx.onnx_trace import trace_onnx
from tests.cic.trace.onnx.exported import MACHINES, dynamic
from tests.codegen import onnx_models
from tests.codegen.onnx_models import run_whole, save


def test_exported_networks_compile_and_their_cuts_are_verified(exported: tuple[torch.nn.Module, Path], tmp_path: Path):
    network, path = exported
    assert path.with_name("resnet18.onnx.data").exists() == (path.stem == "resnet18")
    compiled = cic.compile(path, **MACHINES)
    assert compiled.name == path.stem and compiled.proof.complete
    cuts = [compiled.cuts[0].id, compiled.cuts[len(compiled.cuts) // 2].id, compiled.cuts[-1].id]
    told: list[cic.Progress] = []
    manifest = cic.emit(path, compiled, tmp_path / "split", cuts=list(dict.fromkeys(cuts)), progress=told.append)
    assert told[-1].done == told[-1].of == 3 * len(manifest.cuts) and manifest.name == compiled.name
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(x)
    (name,) = trace_onnx(path).kwargs
    for record in manifest.cuts:
        (check,) = record.verification
        assert check.informative and check.max_relative_error <= check.tolerance == 1e-4
        cut = cic.load_cut(tmp_path / "split", record.id, format_name="onnx")
        (answer,) = cut.tail(*cut.head(**{name: x})).values()
        torch.testing.assert_close(answer, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["branching", "looping", "plumbing", "counting"])
def test_control_flow_and_plumbing_are_emitted(name: str, tmp_path: Path):
    path = save(getattr(onnx_models, name)(), tmp_path / "m.onnx")
    compiled = cic.compile(path, **MACHINES)
    manifest = cic.emit(path, compiled, tmp_path / "split")
    assert len(manifest.cuts) == len(compiled.cuts) >= 2
    inputs = {key: np.asarray(tensor) + 0.1 for key, tensor in trace_onnx(path).kwargs.items()}
    expected = run_whole(path, inputs)
    for record in manifest.cuts:
        cut = cic.load_cut(tmp_path / "split", record.id, format_name="onnx")
        answer = cut.tail(*cut.head(*map(torch.from_numpy, inputs.values())))
        for result, wanted in zip(answer.values(), expected, strict=True):
            np.testing.assert_allclose(np.asarray(result), wanted, rtol=1e-4, atol=1e-5)


def test_another_model_or_format_is_refused(tmp_path: Path):
    compiled = cic.compile(save(onnx_models.looping(), tmp_path / "a.onnx"), **MACHINES)
    other = save(dynamic(), tmp_path / "b.onnx")
    with pytest.raises(EmitError, match=r"b\.onnx is not the one that was compiled as a"):
        cic.emit(other, compiled, tmp_path / "split", verify_on=[((torch.randn(1, 2, 3),), {})])
    with pytest.raises(EmitError, match="in the format 'onnx' only, not as torchscript"):
        cic.emit(tmp_path / "a.onnx", compiled, tmp_path / "split", formats=("torchscript",))
