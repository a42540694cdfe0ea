"""OpenVINO answers rightly or refuses by name; where it is not installed, these tests are skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from cic.errors import EngineError
from codegen.errors import CodegenError
from codegen.split import WireTensor
from tests.codegen.onnx_models import value

pytest.importorskip("openvino", reason="openvino is not installed")
from cic.engine.openvino import loader


def loaded(folder: Path, nodes: list[Any], inputs: dict[str, tuple[int, str]], outputs: dict[str, int]) -> Any:
    """A half of vectors of two. inputs: number and name of the type."""
    graph = helper.make_graph(
        nodes,
        "g",
        [value(name, [2], kind) for name, (kind, _) in inputs.items()],
        [value(name, [2], kind) for name, kind in outputs.items()],
    )
    path = folder / "half.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(made.SerializeToString())
    wires = [WireTensor(name, (2,), dtype, 2 * np.dtype(dtype).itemsize) for name, (_, dtype) in inputs.items()]
    return loader("CPU", 1).load(path, wires, optimize=True)


def test_an_input_that_nothing_reads_is_taken_all_the_same(tmp_path: Path):
    floats = (TensorProto.FLOAT, "float32")
    node = helper.make_node("Sub", ["c", "b"], ["y"])
    run = loaded(tmp_path, [node], {"a": floats, "b": floats, "c": floats}, {"y": TensorProto.FLOAT})
    (answer,) = run(*(np.full(2, number, np.float32) for number in (100, 20, 3)))
    np.testing.assert_array_equal(answer, [-17, -17])


def test_whole_numbers_beyond_the_bits_that_it_computes_in_are_refused(tmp_path: Path):
    run = loaded(
        tmp_path, [helper.make_node("Add", ["x", "x"], ["y"])], {"x": (TensorProto.INT64, "int64")}, {"y": TensorProto.INT64}
    )
    np.testing.assert_array_equal(run(np.array([2**29, -(2**29)]))[0], [2**30, -(2**30)])
    for far in (2**40, -(2**40)):
        with pytest.raises(CodegenError, match="x has a value beyond 32 bits, in which OpenVINO computes"):
            run(np.array([1, far]))


def test_float64_is_refused_as_it_would_be_rounded(tmp_path: Path):
    nodes = [helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE), helper.make_node("Cast", ["d"], ["y"], to=1)]
    with pytest.raises(CodegenError, match=r"computes .* in float64, and OpenVINO would in float32; choose onnxruntime"):
        loaded(tmp_path, nodes, {"x": (TensorProto.FLOAT, "float32")}, {"y": TensorProto.FLOAT})


def test_what_is_no_model_and_what_is_no_device_are_refused(tmp_path: Path):
    with pytest.raises(EngineError, match=r"OpenVINO \S+ has no device 'NPU' here, it has .*CPU"):
        loader("NPU", 1)
    with pytest.raises(CodegenError, match=r"is not ONNX that OpenVINO \S+ can run on CPU: ."):
        loaded(tmp_path, [helper.make_node("Nonsense", ["x"], ["y"])], {"x": (1, "float32")}, {"y": 1})
