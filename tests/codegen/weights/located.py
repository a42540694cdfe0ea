"""Models whose weight is in another file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.codegen.onnx_models import value

SECRET = np.arange(6, dtype=np.float32).reshape(2, 3)


def outside(name: str, location: str) -> TensorProto:
    """A weight of the shape of SECRET that is in another file."""
    tensor = numpy_helper.from_array(SECRET, name)
    onnx.external_data_helper.set_external_data(tensor, location=location, offset=0, length=SECRET.nbytes)
    tensor.ClearField("raw_data")
    return tensor


def made_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def weight(location: str) -> onnx.ModelProto:
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([add], "graph", [value("x", [2, 3])], [value("y", [2, 3])], [outside("w", location)])
    return made_of(graph)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a model, with the secret outside of it and links that lead there."""
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    inner = tmp_path / "model"
    (inner / "below").mkdir(parents=True)
    (inner / "here.bin").write_bytes(SECRET.tobytes())
    (inner / "below" / "there.bin").write_bytes(SECRET.tobytes())
    (inner / "link.bin").symlink_to("here.bin")
    (inner / "out.bin").symlink_to(tmp_path / "secret.bin")
    (inner / "circle").symlink_to("circle")
    (inner / "up").symlink_to(tmp_path)
    return inner
