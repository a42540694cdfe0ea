"""No model has ONNX Runtime open a file outside of its folder, wherever in the model the file is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from codegen.errors import CodegenError
from codegen.formats.onnx_session import open_sharing
from codegen.weights.onnx_locations import check_beside, check_within
from codegen.weights.onnx_weights import BareGraph
from codegen.weights.protobuf_spans import message_field
from tests.codegen.onnx_models import value
from tests.codegen.weights.located import SECRET, made_of, outside, weight


def graph_with(*nodes: onnx.NodeProto, **more: object) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "graph", [], [value("y", [2, 3])], **more)


def constant(location: str) -> onnx.ModelProto:
    return made_of(graph_with(helper.make_node("Constant", [], ["y"], value=outside("v", location))))


def within(op: str, *bodies: str) -> Callable[[str], onnx.ModelProto]:
    def made(location: str) -> onnx.ModelProto:
        body = graph_with(helper.make_node("Identity", ["w"], ["y"]), initializer=[outside("w", location)])
        return made_of(graph_with(helper.make_node(op, ["a"], ["y"], **dict.fromkeys(bodies, body))))

    return made


def twice_within(location: str) -> onnx.ModelProto:
    return made_of(graph_with(helper.make_node("Loop", ["a"], ["y"], body=constant(location).graph)))


def sparse(location: str) -> onnx.ModelProto:
    made = made_of(graph_with())
    made.graph.sparse_initializer.add().values.CopyFrom(outside("w", location))
    return made


def function(location: str) -> onnx.ModelProto:
    made = made_of(graph_with())
    made.functions.add().node.add().CopyFrom(constant(location).graph.node[0])
    return made


def listed(location: str) -> onnx.ModelProto:
    made = constant(location)
    attribute = made.graph.node[0].attribute[0]
    attribute.tensors.add().CopyFrom(attribute.t)
    attribute.ClearField("t")
    return made


PLACES = {
    "weight": weight,
    "constant": constant,
    "If": within("If", "then_branch", "else_branch"),
    "Loop": within("Loop", "body"),
    "Scan": within("Scan", "body"),
    "twice within": twice_within,
    "sparse": sparse,
    "function": function,
    "list of an attribute": listed,
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_of_a_weight_is_seen(place: str, tmp_path: Path):
    made = PLACES[place]("weights.bin")
    with pytest.raises(CodegenError, match=r"half names the file 'weights\.bin' for a weight"):
        check_within(made.SerializeToString(), "half")
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    check_beside(path, "model")
    path.write_bytes(PLACES[place]("../weights.bin").SerializeToString())
    with pytest.raises(CodegenError, match=r"model names the file '\.\./weights\.bin' for a weight, which leads out"):
        check_beside(path, "model")


def test_a_half_whose_weights_are_in_memory_names_no_other_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)  # where ONNX Runtime looks for the files of a model without a path
    bytes_of = {"name": SECRET.reshape(-1).view(np.uint8)}
    session, _ = open_sharing(BareGraph(weight("name").SerializeToString(), bytes_of), "half")
    (answer,) = session.run(None, {"x": SECRET})
    np.testing.assert_array_equal(answer, 2 * SECRET)
    with pytest.raises(CodegenError, match=r"half names the file 'here\.bin'"):
        open_sharing(BareGraph(weight("here.bin").SerializeToString(), bytes_of), "half")


def test_a_location_cannot_be_hidden(folder: Path):
    content = weight("here.bin").SerializeToString()
    entry = message_field(1, b"location") + message_field(2, b"here.bin")
    hidden = {
        # Of several keys or values of an entry parsers take the last.
        "two keys": message_field(1, b"offset") + entry,
        "two values": entry + message_field(2, b"../x.bin"),
        # Parsers drop the upper bits of a number that has more than 32.
        "long number": b"\x8a\x80\x80\x80\x10" + b"\x08location" + entry[10:],
    }
    for what, replaced in hidden.items():
        made = onnx.ModelProto.FromString(content).graph.initializer[0]
        made.ClearField("external_data")
        tensor = made.SerializeToString() + message_field(13, replaced)
        with pytest.raises(CodegenError, match=rf"{what} (names the file|is not ONNX)"):
            check_within(message_field(7, message_field(5, tensor)), what)
    with pytest.raises(CodegenError, match="is in the format of ONNX Runtime"):
        check_within(b"\x20\0\0\0ORTM" + bytes(64), "half")
    (folder / "empty.onnx").touch()
    check_beside(folder / "empty.onnx", "empty.onnx")  # it names nothing


@pytest.mark.skipif(os.name == "nt", reason="names of files are texts there")
def test_a_name_that_is_no_text_is_shown(folder: Path):
    content = weight("here.bin").SerializeToString().replace(b"here.bin", b"\xff/../bin")
    (folder / "odd.onnx").write_bytes(content)
    with pytest.raises(CodegenError):
        check_within(content, "half")
    with pytest.raises(CodegenError):
        check_beside(folder / "odd.onnx", "odd.onnx")
