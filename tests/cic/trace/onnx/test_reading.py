"""What ONNX Runtime runs is read, and its halves answer what it answers; what cannot be split is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import cic
from cic.errors import CicError, TraceError
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.errors import CodegenError, UnsplittableError
from codegen.formats.onnx_program import OnnxEmitter
from tests.cic.trace.onnx.answered import MACHINES, X, answers
from tests.cic.trace.onnx.closed_sets import closed_sets, split_at
from tests.codegen.onnx_models import constant, run_split, save, value
from tests.codegen.onnx_oddities import ODDITIES, training_batch_norm, unchecked
from tests.codegen.weights.located import weight


@pytest.mark.parametrize("name", ODDITIES)
def test_odd_models_are_split_like_others(name: str):
    made = ODDITIES[name]()
    traced = trace_onnx(made, (X,))
    (input_name,) = traced.kwargs
    split = 0
    for x in (X, -X, X.flip(0) * 3):
        expected = answers(made, {input_name: x.numpy()})
        for nodes in closed_sets(traced.unfused, 6):
            try:
                halves = split_at(traced, nodes, traced.unfused)
            except UnsplittableError as error:
                assert "cannot be sent" in str(error)
                continue
            split += 1
            results = run_split(halves, [x.numpy()])
            for output, result in zip(traced.model.graph.outputs, results, strict=True):
                np.testing.assert_allclose(result, expected[str(output.name)], rtol=1e-4, atol=1e-5)
                assert np.shape(result) == expected[str(output.name)].shape
    assert split >= 6


def test_a_path_and_a_message_are_the_same_model(tmp_path: Path):
    for name in ("unsorted", "sparse", "functions"):
        made = ODDITIES[name]()
        from_path, from_message = trace_onnx(save(made, tmp_path / "odd.onnx"), (X,)), trace_onnx(made, (X,))
        assert from_path.graph.digest == from_message.graph.digest and from_path.weights_digest == from_message.weights_digest
    compiled = cic.compile(made, (X,), **MACHINES)
    assert compiled.name == "odd" and compiled.proof.complete


def test_text_among_the_weights_has_a_digest():
    texts = [helper.make_tensor("c", TensorProto.STRING, [2], texts) for texts in ([b"a", b"bc"], [b"ab", b"c"])]
    nodes = [helper.make_node("Equal", ["c", "c"], ["same"]), helper.make_node("Relu", ["x"], ["y"])]
    nodes.append(helper.make_node("Identity", ["same"], ["k"]))
    digests = set()
    for text in texts:
        outputs = [value("y", [4, 4]), value("k", [2], TensorProto.BOOL)]
        digests.add(trace_onnx(unchecked(nodes, [value("x", [4, 4])], outputs, [text], opset=19)).weights_digest)
    assert len(digests) == 2


def beside(folder: Path) -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    made = unchecked(nodes, [value("x", [2, 64])], [value("y", [2, 64])], [constant("w", np.ones((64, 64)))])
    onnx.save(made, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return folder / "m.onnx"


def test_weights_that_are_not_all_there_are_told(tmp_path: Path):
    path = beside(tmp_path)
    made = onnx.load(path, load_external_data=False)
    with pytest.raises(TraceError, match=r"the weight 'w' in the file 'w\.bin', and a model in memory has no folder"):
        trace_onnx(made)
    for entry in made.graph.initializer[0].external_data:
        if entry.key == "offset":
            entry.value = "-1"
    (tmp_path / "astray.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(TraceError, match="offset must be non-negative, got -1 for tensor 'w'"):
        trace_onnx(tmp_path / "astray.onnx")
    (tmp_path / "w.bin").write_bytes(b"x" * 100)
    with pytest.raises(TraceError, match=r"m\.onnx: the weight 'w' takes 16384 bytes.*w\.bin, which has 100; the file is not"):
        trace_onnx(path)


def test_weights_within_nodes_may_lie_beside_the_file(tmp_path: Path):
    yes = helper.make_graph([helper.make_node("MatMul", ["r", "w"], ["a"])], "yes", [], [value("a", None)])
    yes.initializer.append(constant("w", np.eye(4) * 2))
    held = helper.make_node("Constant", [], ["c"], value=constant("c", np.ones((4, 4))))
    no = helper.make_graph([held, helper.make_node("Add", ["r", "c"], ["b"])], "no", [], [value("b", None)])
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["flag"], to=9),
        helper.make_node("If", ["flag"], ["y"], then_branch=yes, else_branch=no),
    ]
    made = unchecked(nodes, [value("x", [4, 4])], [value("y", [4, 4])])
    expected = answers(made, {"x": X.numpy()})["y"]
    onnx.external_data_helper.convert_model_to_external_data(made, location="w", size_threshold=0, convert_attribute=True)
    onnx.save(made, tmp_path / "m.onnx")
    traced = trace_onnx(tmp_path / "m.onnx")
    (tmp_path / "w").unlink()  # halves stand alone
    (result,) = run_split(split_at(traced, frozenset({"Relu"}), traced.unfused), [X.numpy()])
    np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize("opset", [9, 17])
def test_what_learns_is_refused_by_name(opset: int):
    """ONNX Runtime writes the statistics of each call into the weights, so that the next answer is another."""
    with pytest.raises(TraceError, match=r"node 'BatchNormalization' \(BatchNormalization\) is in training mode"):
        trace_onnx(training_batch_norm(opset), (X,))


def test_maps_are_refused_by_name():
    """What classifiers of scikit-learn end in."""
    one = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    maps = helper.make_value_info("z", helper.make_sequence_type_proto(one))
    step = helper.make_node("ZipMap", ["x"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])
    made = unchecked([step], [value("x", [4, 4])], [maps])
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    with pytest.raises(TraceError, match=r"'z' is of maps.*export the model without ZipMap"):
        trace_onnx(made, (X,))


def test_types_that_cannot_be_handed_over_are_refused_by_name():
    made = unchecked([helper.make_node("Identity", ["x"], ["y"])], [value("x", [4], 14)], [value("y", [4], 14)])
    with pytest.raises(
        TraceError, match=r"not a valid ONNX model|input 'x' is of type complex64, which ONNX Runtime does not take"
    ):
        trace_onnx(made)
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT4)]
    made = unchecked(nodes, [value("x", [4])], [value("y", [4], TensorProto.INT4)], opset=21)
    with pytest.raises(TraceError, match="output 'y' is of type int4, which ONNX Runtime does not hand out"):
        trace_onnx(made)


OUT = ("{outer}/secret.bin", "../secret.bin", "below/../../secret.bin", "out.bin", "up/secret.bin", "circle", "a\0b",
       "*/_ORT_MEM_ADDR_/*", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*")  # fmt: skip


@pytest.mark.parametrize("location", OUT)
def test_models_and_halves_cannot_name_files_outside(location: str, folder: Path):
    made = weight(location.format(outer=folder.parent))
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(CicError, match=r"model\.onnx names the file .* leads out of its folder"):
        cic.compile(path, **MACHINES)
    with pytest.raises(CodegenError, match=r"model\.onnx names the file .* has to hold all its weights itself"):
        OnnxEmitter().load(path, (), optimize=True)


@pytest.mark.parametrize("location", ["here.bin", "below/there.bin", "./here.bin", "link.bin"])
def test_weights_in_the_folder_or_below_stay_allowed(location: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    path = folder / "model.onnx"
    path.write_bytes(weight(location).SerializeToString())
    assert cic.compile(path, **MACHINES).proof.complete
    monkeypatch.chdir(folder)  # nor does a folder depend on how it is written
    assert cic.compile("model.onnx", **MACHINES).proof.complete
