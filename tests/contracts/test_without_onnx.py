"""Who installs torch alone compiles and emits torch's formats: nothing on that way needs ONNX, its IR or its runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT

pytestmark = pytest.mark.real_interpreter

CODE = '''
import contextlib, sys

from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class WithoutOnnx:
    """Finds no package of ONNX's, also for torch, which asks whether one is there."""

    def find_spec(self, name, path=None, target=None):
        missing = name.partition(".")[0] in ("onnx", "onnx_ir", "onnxruntime", "onnxscript")
        return None if missing else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, WithoutOnnx()]

import torch
from torch import nn
import cic, codegen.bundle.bundle, codegen.verification.equivalence, codegen.verify_process

def run_here(requests, scratch, progress):
    for request in requests:
        for job in request["jobs"]:
            codegen.verify_process._run_job(request, job)

codegen.verification.equivalence._run_fresh = run_here  # a fresh process would import what this one did: seconds
codegen.bundle.bundle.started_ahead = contextlib.nullcontext
model, example = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.randn(2, 4)
compiled = cic.compile(model, (example,), device="raspberry-pi-4b", server="i7-13700k")
manifest = cic.emit(model, compiled, sys.argv[1], formats=["torchscript", "exported_program"])
cut = cic.load_cut(sys.argv[1], manifest.cuts[0].id)
assert torch.allclose(cut.tail(*cut.head(example)), model(example))
try:
    cic.emit(model, compiled, sys.argv[1], formats=["onnx"])
except cic.CicError as error:
    print(error)
'''


def test_torch_models_are_compiled_and_emitted_without_onnx(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "halves")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "cic-compiler[onnx]" in done.stdout
