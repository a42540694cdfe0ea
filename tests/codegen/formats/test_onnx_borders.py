"""Names of inputs and outputs are those that the package onnx reads."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from codegen.errors import CodegenError
from codegen.formats.onnx_borders import border_names
from tests.codegen.onnx_models import value


def test_names_are_in_the_order_of_the_graph():
    nodes = [helper.make_node("Add", ["b", "a"], ["größe"]), helper.make_node("Neg", ["a"], ["c"])]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph(
        nodes, "g", [value(name, [2]) for name in "baz"], [value("c", [2]), value("größe", [2])], [weight]
    )
    content = helper.make_model(graph).SerializeToString()
    assert border_names(content, "a half") == (("b", "a", "z"), ("c", "größe"))


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x3a\x05\x5a"])
def test_what_is_no_model_is_refused(content: bytes):
    with pytest.raises(CodegenError, match="a half is no ONNX file"):
        border_names(content, "a half")
