"""`compile` and `emit` take the path of an ONNX file, and the halves answer what the file answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from cic.cli import main
from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.manifest import read_manifest
from tests.cic.trace.onnx.exported import MACHINES, dynamic
from tests.codegen import onnx_models
from tests.codegen.onnx_models import constant, model, save, value


def test_work_is_counted_as_for_torch(exported: tuple[torch.nn.Module, Path]):
    """The exporter folds batch norm into convolutions, so a little less arithmetic is left, and nothing is added."""
    network, path = exported
    graph = trace_onnx(path).graph
    original = trace(network, (torch.randn(1, 3, 64, 64),)).graph
    ratio = sum(op.flops for op in graph.ops) / sum(op.flops for op in original.ops)
    assert 0.9 < ratio < 1.02
    kinds = {kind for op in graph.ops for kind in op.kinds}
    assert "conv2d" in kinds and any("relu" in op.kinds[1:] or "hardswish" in op.kinds[1:] for op in graph.ops)


@pytest.mark.parametrize("damage", ["cut short", "flipped", "empty", "text", "missing"])
def test_damaged_files_are_refused_by_name(damage: str, tmp_path: Path):
    path = save(onnx_models.branching(), tmp_path / "m.onnx")
    raw = path.read_bytes()
    content = {"cut short": raw[: len(raw) // 2], "flipped": b"\xff" + raw[1:], "empty": b"", "text": b"no model at all"}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[damage])
    with pytest.raises(TraceError, match=r"m\.onnx (is not a valid ONNX model|does not exist)"):
        trace_onnx(path)


def test_missing_weights_are_told(tmp_path: Path):
    made = model(
        [onnx.helper.make_node("Gemm", ["x", "w"], ["y"])],
        [value("x", [1, 64])],
        [value("y", [1, 64])],
        [constant("w", np.ones((64, 64)))],
    )
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert trace_onnx(tmp_path / "m.onnx").graph.ops[0].flops == 2 * 64 * 64
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(TraceError, match=r"m\.onnx is not a valid ONNX model: .*weights\.bin"):
        trace_onnx(tmp_path / "m.onnx")


def test_models_that_draw_are_refused(tmp_path: Path):
    made = model(
        [
            onnx.helper.make_node("RandomNormalLike", ["x"], ["noise"], name="noise_maker"),
            onnx.helper.make_node("Add", ["x", "noise"], ["y"]),
        ],
        [value("x", [4])],
        [value("y", [4])],
    )
    with pytest.raises(TraceError, match=r"m\.onnx: node 'noise_maker' \(RandomNormalLike\) draws random numbers"):
        trace_onnx(save(made, tmp_path / "m.onnx"))


def test_the_command_takes_an_onnx_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, file = save(dynamic(), tmp_path / "m.onnx"), tmp_path / "m.cic"
    machines = ["--device", MACHINES["device"], "--server", MACHINES["server"]]
    assert main(["compile", str(path), *machines, "-o", str(file)]) != 0
    assert "input 'x' has the open shape (batch, 2, length)" in capsys.readouterr().err
    assert main(["compile", str(path), "--input", "3x2x5", *machines, "-o", str(file)]) == 0
    assert main(["emit", str(path), str(file), "-o", str(tmp_path / "m.split"), "--tolerance", "-1"]) != 0
    assert "the tolerance is -1" in capsys.readouterr().err
    assert main(["emit", str(path), str(file), "-o", str(tmp_path / "m.split"), "--tolerance", "0.003"]) == 0
    checks = [check for cut in read_manifest(tmp_path / "m.split").cuts for check in cut.verification]
    assert checks and all(check.tolerance == 0.003 for check in checks)
    assert "onnx" in capsys.readouterr().out
    assert list((tmp_path / "m.split").glob("*/head.onnx"))


def test_files_of_more_than_two_gigabytes_are_read(tmp_path: Path):
    """The weights are a hole in the file system: nothing reads them until halves are written."""
    size = 2**31 + 2**12
    weight = TensorProto(name="w", data_type=TensorProto.INT8, dims=[2**12, size >> 12], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="weights.bin")
    gemm = onnx.helper.make_node("MatMulInteger", ["x", "w"], ["y"], name="product")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [gemm], "large", [value("x", [1, 2**12], TensorProto.INT8)], [value("y", ["a", "b"], TensorProto.INT32)], [weight]
        ),
        opset_imports=[onnx.helper.make_opsetid("", 20)],
        ir_version=10,
    )
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(size)
    (op,) = trace_onnx(save(made, tmp_path / "m.onnx")).graph.ops
    assert op.flops == 2 * size and op.memory_bytes == size + 2**12 + 4 * (size >> 12)


LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_published_networks_are_read(path: Path):
    """Graphs of 2017, opset 9, with weights that are computed when the model starts."""
    traced = trace_onnx(path)
    assert all(tensor.may_cross for tensor in traced.graph.tensors)
    assert len(traced.graph.ops) < len(traced.unfused.ops)
    assert sum(op.flops for op in traced.graph.ops) > 1e8
