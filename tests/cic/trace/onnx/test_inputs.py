"""Open shapes are fixed by the caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from cic.errors import TraceError
from cic.trace.onnx.onnx_trace import trace_onnx
from tests.cic.trace.onnx.answered import X
from tests.cic.trace.onnx.exported import dynamic
from tests.codegen.onnx_models import save, value
from tests.codegen.onnx_oddities import unchecked


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


@pytest.mark.parametrize(
    ("args", "shapes", "message"),
    [
        ((), {"x": 4}, "shapes gives 4 for the input 'x'; give a tuple of whole numbers"),
        ((), {"x": (4, 2**62)}, "which does not fit into memory"),
        ((torch.empty(4, 4, device="meta"),), None, "the example for input 'x' is a torch.strided tensor on meta"),
        ((X.to_sparse(),), None, "the example for input 'x' is a torch.sparse_coo tensor"),
    ],
    ids=["number", "huge", "meta", "sparse"],
)
def test_shapes_and_examples_that_are_none_are_refused(args: tuple, shapes: dict | None, message: str):
    made = unchecked([helper.make_node("Exp", ["x"], ["y"])], [value("x", ["n", "m"])], [value("y", None)])
    with pytest.raises(TraceError, match=message):
        trace_onnx(made, args, shapes=shapes)
    assert trace_onnx(made, shapes={"x": np.array([2, 4])}).graph.tensor_by_name["y"].shape == (2, 4)
