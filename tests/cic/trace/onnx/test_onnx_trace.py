"""`compile` and `emit` take the path of an ONNX file, and the halves answer what the file answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

import cic
from cic.cli import main
from cic.errors import EmitError, TraceError
from cic.trace.fx.torch_trace import trace
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.formats.onnx_program import quiet_exporter
from codegen.manifest import read_manifest
from examples.models.meaningful import make_meaningful
from examples.models.torchvision_beside_cpu_torch import import_torchvision
from tests.codegen import onnx_models
from tests.codegen.onnx_models import constant, model, run_whole, save, value

torchvision = import_torchvision()
MACHINES = {"device": "raspberry-pi-4b", "server": "i7-13700k"}


@pytest.fixture(scope="module", params=["resnet18", "googlenet", "mobilenet_v3_small"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(0)
    more = {"init_weights": False, "aux_logits": False} if request.param == "googlenet" else {}
    network = getattr(torchvision.models, request.param)(num_classes=20, **more)
    network = make_meaningful(network, (torch.randn(4, 3, 64, 64),))
    path = tmp_path_factory.mktemp("exported") / f"{request.param}.onnx"
    with quiet_exporter():
        # ResNet's weights lie beside the file.
        beside = request.param == "resnet18"
        torch.onnx.export(network, (torch.randn(1, 3, 64, 64),), path, dynamo=True, verbose=False, external_data=beside)
    return network, path


def test_exported_networks_compile_and_their_cuts_are_verified(exported: tuple[torch.nn.Module, Path], tmp_path: Path):
    network, path = exported
    assert path.with_name("resnet18.onnx.data").exists() == (path.stem == "resnet18")
    compiled = cic.compile(path, **MACHINES)
    assert compiled.name == path.stem and compiled.proof.complete
    cuts = [compiled.cuts[0].id, compiled.cuts[len(compiled.cuts) // 2].id, compiled.cuts[-1].id]
    told: list[cic.Progress] = []
    manifest = cic.emit(path, compiled, tmp_path / "split", cuts=list(dict.fromkeys(cuts)), progress=told.append)
    assert told[-1].done == told[-1].of == 3 * len(manifest.cuts)
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


def test_work_is_counted_as_for_torch(exported: tuple[torch.nn.Module, Path]):
    """The exporter folds batch norm into convolutions, so a little less arithmetic is left, and nothing is added."""
    network, path = exported
    graph = trace_onnx(path).graph
    original = trace(network, (torch.randn(1, 3, 64, 64),)).graph
    ratio = sum(op.flops for op in graph.ops) / sum(op.flops for op in original.ops)
    assert 0.9 < ratio < 1.02
    kinds = {kind for op in graph.ops for kind in op.kinds}
    assert "conv2d" in kinds and any("relu" in op.kinds[1:] or "hardswish" in op.kinds[1:] for op in graph.ops)


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


def dynamic() -> onnx.ModelProto:
    """An input whose batch and length are open, and a reshape to sizes read off the input."""
    return model(
        [
            onnx.helper.make_node("Shape", ["x"], ["sizes"]),
            onnx.helper.make_node("Gather", ["sizes", "first"], ["batch"]),
            onnx.helper.make_node("Concat", ["batch", "rest"], ["form"], axis=0),
            onnx.helper.make_node("Exp", ["x"], ["grown"]),
            onnx.helper.make_node("Reshape", ["grown", "form"], ["flat"]),
            onnx.helper.make_node("Softmax", ["flat"], ["y"]),
        ],
        [value("x", ["batch", 2, "length"])],
        [value("y", ["batch", "features"])],
        [constant("first", [0], np.int64), constant("rest", [-1], np.int64)],
    )


def test_open_shapes_are_fixed_by_the_caller(tmp_path: Path):
    path = save(dynamic(), tmp_path / "m.onnx")
    with pytest.raises(
        TraceError, match=r"m\.onnx: input 'x' has the open shape \(batch, 2, length\); give an example .*'x': \(1, 2, 1"
    ):
        trace_onnx(path)
    for traced in (trace_onnx(path, shapes={"x": (3, 2, 5)}), trace_onnx(path, (torch.randn(3, 2, 5),))):
        assert traced.graph.tensor_by_name["x"].shape == (3, 2, 5)
        assert traced.graph.tensor_by_name["y"].shape == (3, 10)
        assert [op.kinds for op in traced.graph.ops] == [("exp",), ("softmax",)]
    with pytest.raises(TraceError, match=r"input 'x' has shape \(batch, 2, length\), given was \(3, 4, 5\)"):
        trace_onnx(path, shapes={"x": (3, 4, 5)})
    with pytest.raises(TraceError, match=r"shapes names the input 'z'; .*m\.onnx has the inputs x"):
        trace_onnx(path, shapes={"z": (3,)})
    with pytest.raises(TraceError, match=r"input 'x' is of type float32, the example of type float64"):
        trace_onnx(path, (torch.randn(3, 2, 5).double(),))


def test_what_depends_on_data_may_not_cross(tmp_path: Path):
    graph = trace_onnx(save(onnx_models.counting(), tmp_path / "m.onnx")).unfused
    assert {tensor.name: tensor.may_cross for tensor in graph.tensors} == {
        "x": True, "bent": True, "places": False, "found": False, "y": True,
    }  # fmt: skip


def test_captures_are_inputs_and_weights_are_not(tmp_path: Path):
    graph = trace_onnx(save(onnx_models.branching(), tmp_path / "m.onnx")).unfused
    assert set(graph.op_by_name["choose"].inputs) == {"flag", "early", "x", "late"}
    loop = trace_onnx(save(onnx_models.looping(), tmp_path / "l.onnx")).unfused.op_by_name["repeat"]
    assert set(loop.inputs) == {"start", "outside"} and loop.flops == 4 * (6 + 6 + 6)


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


def test_another_model_or_format_is_refused(tmp_path: Path):
    compiled = cic.compile(save(onnx_models.looping(), tmp_path / "a.onnx"), **MACHINES)
    other = save(dynamic(), tmp_path / "b.onnx")
    with pytest.raises(EmitError, match=r"b\.onnx is not the one that was compiled as a"):
        cic.emit(other, compiled, tmp_path / "split", verify_on=[((torch.randn(1, 2, 3),), {})])
    with pytest.raises(EmitError, match="in the format 'onnx' only, not as torchscript"):
        cic.emit(tmp_path / "a.onnx", compiled, tmp_path / "split", formats=("torchscript",))


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
