"""A half written as a `.pt2` file is read as the program that it was, and refuses other types and shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import fx, nn

from codegen.errors import CodegenError
from codegen.formats.exported_program import ExportedProgramEmitter, read_program
from codegen.split import WireTensor

X = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
INPUTS = (WireTensor("x", (2, 6), "float32", 48),)


@pytest.fixture(scope="module")
def layers() -> fx.GraphModule:
    torch.manual_seed(3)
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(6, 4), nn.Tanh()).eval())
    output = next(node for node in module.graph.nodes if node.op == "output")
    output.args = ((output.args[0],),)
    module.recompile()
    return module


@pytest.fixture(scope="module")
def file(layers: fx.GraphModule, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "half.pt2"
    ExportedProgramEmitter().write(layers, (X,), path)
    return path


def test_the_half_computes_what_was_written(layers: fx.GraphModule, file: Path) -> None:
    run = ExportedProgramEmitter().load(file, INPUTS, optimize=False)
    (answer,), (expected,) = run(X), layers(X)
    torch.testing.assert_close(answer, expected.detach())
    for other in (X.double(), X[:1]):
        with pytest.raises(Exception, match=r"."):
            run(other)


def test_the_file_is_a_program_of_torch(file: Path) -> None:
    assert {tuple(weight.shape) for weight in read_program(str(file)).state_dict.values()} == {(4, 6), (4,)}


def test_what_is_no_program_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "half.pt2").write_bytes(b"no program")
    with pytest.raises(CodegenError, match=r"half\.pt2 is not an exported program that torch"):
        ExportedProgramEmitter().load(tmp_path / "half.pt2", INPUTS, optimize=False)
