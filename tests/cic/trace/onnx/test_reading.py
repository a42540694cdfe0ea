"""What ONNX Runtime runs is read, and its halves answer what it answers; what cannot be split is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import cic
from cic.errors import TraceError
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.errors import UnsplittableError
from codegen.formats.onnx_session import open_session
from tests.codegen.onnx_models import closed_sets, constant, counting, run_split, save, split_at, value
from tests.codegen.onnx_oddities import ODDITIES, stale, training_batch_norm, unchecked

X = torch.randn(4, 4, generator=torch.Generator().manual_seed(3))
MACHINES = {"device": "raspberry-pi-4b", "server": "i7-13700k"}


def answers(made: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = open_session(made.SerializeToString(), "the whole")
    return dict(zip([out.name for out in session.get_outputs()], session.run(None, inputs), strict=True))


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


def test_any_negative_size_is_open():
    made = unchecked([helper.make_node("Softmax", ["x"], ["y"])], [value("x", [-1, 4])], [value("y", [-1, 4])])
    assert trace_onnx(made, (torch.randn(3, 4),)).graph.tensor_by_name["y"].shape == (3, 4)
    assert trace_onnx(made, shapes={"x": (2, 4)}).graph.tensor_by_name["y"].shape == (2, 4)
    with pytest.raises(TraceError, match=r"open shape \(-1, 4\); .*--input 1x4\), or cic\.\w+\(…, shapes=\{'x': \(1, 4\)\}\)"):
        trace_onnx(made)
    assert cic.compile(cic.trace_model(made, shapes={"x": (2, 4)}), **MACHINES).proof.complete
    with pytest.raises(TraceError, match="shapes gives the open shapes of an ONNX file, and this model is a Linear"):
        cic.trace_model(torch.nn.Linear(4, 4), (X,), shapes={"x": (2, 4)})


def test_declared_shapes_within_are_not_believed():
    x = torch.randn(64, 4)
    tensors = trace_onnx(stale(loop=False), (x,)).unfused.tensor_by_name
    assert [(tensors[name].shape, tensors[name].bytes) for name in "msy"] == [((64, 8), 2048)] * 3
    tensors = trace_onnx(stale(loop=True), (x,)).unfused.tensor_by_name
    assert tensors["end"].shape == (64, 4) and tensors["end"].may_cross and tensors["rows"].shape == (3,)
    assert not trace_onnx(stale(loop=True, grows=True), (x,)).unfused.tensor_by_name["end"].may_cross


def test_sizes_that_depend_on_data_are_no_part_of_the_digest():
    def digest(traced: OnnxModel) -> str:
        return traced.graph.digest

    for made in (counting(), ODDITIES["count_used_elsewhere"](), ODDITIES["branches_of_two_shapes"]()):
        shape = (3, 4) if made.graph.name == "hand_made" else (4, 4)
        draws = [torch.randn(shape), torch.ones(shape), -torch.ones(shape), torch.zeros(shape)]
        assert len({digest(trace_onnx(made, (x,))) for x in draws}) == 1


def counted(op: str, *, steps: list, shape: list) -> onnx.ModelProto:
    """An output whose size the data decides."""
    if op == "Range":
        sums = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Abs", ["s"], ["a"])]
        nodes = [*sums, helper.make_node("Range", ["nought", "a", "one"], ["y"])]
    else:
        nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node(op, ["r"], ["i"], name="counts"), *steps]
    weights = [constant("nought", 0.0), constant("one", 1.0)]
    return unchecked(nodes, [value("x", [4, 4])], [value("y", shape)], weights)


def rarely() -> onnx.ModelProto:
    """One row, but for means that no draw has; the file says otherwise."""
    yes = helper.make_graph([helper.make_node("Concat", ["x", "x"], ["a"], axis=0)], "yes", [], [value("a", None)])
    no = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["b"])], "no", [], [value("b", None)])
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "limit"], ["flag"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=yes, else_branch=no),
    ]
    return unchecked(nodes, [value("x", [4, 4])], [value("y", [1, 1])], [constant("limit", 5.0)])


def best_few() -> onnx.ModelProto:
    takes = [value("x", [4, 4]), value("k", [1], TensorProto.INT64)]
    return unchecked([helper.make_node("TopK", ["x", "k"], ["y", "places"])], takes, [value("y", [4, "k"])])


def test_a_number_of_results_that_is_an_input_is_size_that_depends_on_data():
    with pytest.raises(TraceError, match="output 'y' has a size that depends on the data"):
        trace_onnx(best_few(), (X, torch.tensor([2])))


def test_values_resized_by_data_may_not_cross():
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=1),
        helper.make_node("Abs", ["mean"], ["a"]),
        helper.make_node("Add", ["a", "one"], ["scales"]),
        helper.make_node("Reshape", ["scales", "all"], ["flat"]),
        helper.make_node("Concat", ["flat", "flat"], ["both"], axis=0),
        helper.make_node("Resize", ["x", "", "both"], ["q"]),
        helper.make_node("ReduceMax", ["q"], ["y"], keepdims=0),
    ]
    weights = [constant("one", 1.0), constant("all", [-1], np.int64)]
    tensors = trace_onnx(unchecked(nodes, [value("x", [4, 4])], [value("y", [])], weights), (X,)).unfused.tensor_by_name
    assert not tensors["q"].may_cross and tensors["both"].may_cross


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


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (counted("NonZero", steps=[helper.make_node("Cast", ["i"], ["y"], to=1)], shape=[2, "k"]), "node 'counts', NonZero"),
        (counted("Unique", steps=[helper.make_node("Exp", ["i"], ["y"])], shape=["k"]), "node 'counts', Unique"),
        (counted("Range", steps=[], shape=["k"]), "it differed between trial runs"),
        (rarely(), "it differed between trial runs"),
    ],
    ids=["counted", "unique", "range", "rarely"],
)
def test_outputs_whose_size_depends_on_data_are_refused_by_name(made: onnx.ModelProto, why: str):
    with pytest.raises(
        TraceError, match=rf"output 'y' has a size that depends on the data \({why}\); halves have fixed shapes"
    ):
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


def test_a_branch_that_is_never_taken_may_misfit():
    """ONNX Runtime opens such a file, and refuses it with fixed shapes; halves then leave them open."""
    yes = helper.make_graph([helper.make_node("Neg", ["r"], ["a"])], "yes", [], [value("a", None)])
    no = helper.make_graph([helper.make_node("MatMul", ["r", "w"], ["b"])], "no", [], [value("b", None)])
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ReduceSum", ["flag"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["is"], to=9),
        helper.make_node("If", ["is"], ["q"], then_branch=yes, else_branch=no),
        helper.make_node("Exp", ["q"], ["y"]),
    ]
    inputs = [value("x", ["n", "m"]), value("flag", [1])]
    made = unchecked(nodes, inputs, [value("y", None)], [constant("w", np.ones((7, 7)))])
    flag = torch.ones(1)
    traced = trace_onnx(made, (X, flag))
    expected = answers(made, {"x": X.numpy(), "flag": flag.numpy()})["y"]
    for nodes_there in closed_sets(traced.unfused, 6):
        try:
            (result,) = run_split(split_at(traced, nodes_there, traced.unfused), [X.numpy(), flag.numpy()])
        except UnsplittableError:
            continue
        np.testing.assert_allclose(result, expected)
