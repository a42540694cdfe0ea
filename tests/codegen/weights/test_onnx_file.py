"""ONNX halves too large for one protobuf message: here a limit of some kilobytes stands for the 2 GiB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from codegen.bundle.bundle import write_bundle
from codegen.errors import CodegenError
from codegen.formats.emitter import LARGEST_FILE_BYTES
from codegen.loading import export_half, load_cut
from codegen.manifest import read_manifest
from codegen.serving.triton_repository import write_triton_repository
from codegen.weights.onnx_file import write_model
from tests.codegen.onnx_models import plans_of, source_of

WIDTH, LAYERS = 96, 4
LIMIT_BYTES = 60_000


def two_layers_and_more(folder: Path) -> Path:
    """Matrices of 37 kB each in a file beside the graph; the last two are one and the same in bytes."""
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal((WIDTH, WIDTH), np.float32) / 10 for _ in range(LAYERS - 1)]
    weights = [numpy_helper.from_array(array, f"w{index}") for index, array in enumerate([*arrays, arrays[-1]])]
    nodes, value = [], "x"
    for index in range(LAYERS):
        nodes.append(helper.make_node("MatMul", [value, f"w{index}"], [f"product{index}"], name=f"multiply{index}"))
        nodes.append(helper.make_node("Relu", [f"product{index}"], [f"y{index}"], name=f"cut{index}"))
        value = f"y{index}"
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, WIDTH])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [2, WIDTH])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = folder / "layers.onnx"
    onnx.save(model, path, save_as_external_data=True, location="layers.weights", size_threshold=0)
    return path


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    path = two_layers_and_more(tmp_path)
    monkeypatch.setitem(LARGEST_FILE_BYTES, "onnx", LIMIT_BYTES)
    source = source_of(path)
    # What it takes apart saves less than a megabyte, and yet the halves stay apart.
    write_bundle(tmp_path / "layers.split", source, plans_of(source.model, 4))
    return path, tmp_path / "layers.split"


def answer_of(path: Path, given: np.ndarray) -> np.ndarray:
    (answer,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": given})
    return np.asarray(answer)


def test_large_halves_keep_their_weights_apart_and_run(bundle: tuple[Path, Path]) -> None:
    path, directory = bundle
    manifest = read_manifest(directory)
    tail = manifest.cut("server-only").files["onnx"].tail
    assert tail.bytes > LIMIT_BYTES and tail.bare is not None
    given = np.random.default_rng(1).standard_normal((2, WIDTH), np.float32)
    for cut in manifest.cuts:
        loaded = load_cut(directory, cut.id)
        (answer,) = loaded.tail(*loaded.head(x=given)).values()
        np.testing.assert_allclose(answer, answer_of(path, given), rtol=1e-5, atol=1e-6)


def test_an_exported_large_half_is_a_graph_with_its_weights_beside_it(bundle: tuple[Path, Path], tmp_path: Path) -> None:
    path, directory = bundle
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone" / "tail.onnx"
    export_half(directory, "server-only", "tail", alone)
    assert sorted(file.name for file in alone.parent.iterdir()) == ["tail.onnx", "tail.onnx.data"]
    assert (
        alone.stat().st_size
        < WIDTH * WIDTH
        < (LAYERS - 1) * WIDTH * WIDTH * 4
        <= alone.with_suffix(".onnx.data").stat().st_size
    )
    given = np.random.default_rng(2).standard_normal((2, WIDTH), np.float32)
    np.testing.assert_allclose(answer_of(alone, given), answer_of(path, given), rtol=1e-5, atol=1e-6)
    onnx.checker.check_model(str(alone))

    (model,) = write_triton_repository(directory, tmp_path / "repository", cuts=["server-only"])
    served = tmp_path / "repository" / model.name / "1" / "model.onnx"
    np.testing.assert_allclose(answer_of(served, given), answer_of(path, given), rtol=1e-5, atol=1e-6)


def test_a_large_half_cannot_be_one_file(bundle: tuple[Path, Path], tmp_path: Path) -> None:
    path, _ = bundle
    source = source_of(path)
    with pytest.raises(CodegenError, match=rf"tail.onnx has \d+ bytes, .* at most {LIMIT_BYTES}; emit with storage='shared'"):
        write_bundle(tmp_path / "plain.split", source, plans_of(source.model, 4), storage="inline")
    assert not (tmp_path / "plain.split").exists()


def test_a_damaged_weight_leaves_nothing_behind(bundle: tuple[Path, Path], tmp_path: Path) -> None:
    _, directory = bundle
    weight = next((directory / "weights").iterdir())
    weight.write_bytes(bytes(weight.stat().st_size))
    (tmp_path / "alone").mkdir()
    with pytest.raises(CodegenError, match="it is damaged or was changed"):
        export_half(directory, "server-only", "tail", tmp_path / "alone" / "tail.onnx")
    assert not list((tmp_path / "alone").iterdir())


@pytest.mark.parametrize("dtype", ["FLOAT", "INT4", "BFLOAT16", "STRING", "BOOL", "FLOAT8E4M3FN"])
def test_what_is_written_is_what_was_given(dtype: str, tmp_path: Path) -> None:
    """Types that are packed, or not numpy's, or no bytes at all."""
    kind = onnx_ir.DataType[dtype]
    if dtype == "STRING":
        tensor: onnx_ir.TensorProtocol = onnx_ir.StringTensor(np.array([b"a", b"bc"] * 3000), name="w")
    else:
        content = np.random.default_rng(0).integers(0, 2, (150, 150)).astype(kind.numpy())
        tensor = onnx_ir.Tensor(content, dtype=kind, name="w")
    weight = onnx_ir.Value(name="w", type=onnx_ir.TensorType(kind), shape=onnx_ir.Shape(tensor.shape), const_value=tensor)
    node = onnx_ir.node("Identity", [weight])
    node.outputs[0].name = "y"
    graph = onnx_ir.Graph([], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 21}, name="one")
    model = onnx_ir.Model(graph, ir_version=10)
    write_model(model, tmp_path / "one.onnx")
    assert list(model.graph.initializers) == ["w"], "the model is as it was"
    (read,) = onnx_ir.load(tmp_path / "one.onnx").graph.initializers.values()
    assert read.const_value is not None and read.const_value.dtype == kind
    np.testing.assert_array_equal(read.const_value.numpy(), tensor.numpy())
