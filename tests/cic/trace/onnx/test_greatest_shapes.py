"""Outputs whose size the data decides have a limit that no input exceeds, and come back as they are; or they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import cic
from cic.errors import TraceError
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.splitters.onnx import wire_tensor as wire_of
from tests.cic.trace.onnx.answered import MACHINES, answers
from tests.codegen.onnx_models import constant, value
from tests.codegen.onnx_oddities import unchecked

node = helper.make_node
BOXES = 6


def detector(*, pads: bool = False) -> onnx.ModelProto:
    """Two features of a picture as boxes and scores of two classes, suppressed; the rows are box, class and score."""
    nodes = [
        node("Conv", ["x", "w"], ["features"]),
        node("Relu", ["features"], ["r"]),
        node("Reshape", ["r", "by_box"], ["rows"]),
        node("Split", ["rows", "parts"], ["corners", "sizes", "scores_last"], axis=2),
        node("Add", ["corners", "sizes"], ["ends"]),
        node("Concat", ["corners", "ends"], ["boxes"], axis=2),
        node("Transpose", ["scores_last"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["kept"], name="suppress"),
        node("Gather", ["kept", "two"], ["box_index"], axis=1),
        node("Gather", ["kept", "one"], ["label"], axis=1),
        node("Squeeze", ["boxes", "nought"], ["flat_boxes"]),
        node("Gather", ["flat_boxes", "box_index"], ["y"]),
        node("GatherND", ["scores", "kept"], ["score"]),
    ]
    made = [("y", FLOAT, ["n", 4]), ("label", INT64, ["n"]), ("score", FLOAT, ["n"])]
    if pads:  # to the ten best, or as many as there are
        nodes += [
            node("Shape", ["score"], ["count"]),
            node("Min", ["count", "ten"], ["fewer"]),
            node("TopK", ["score", "fewer"], ["best", "at"]),
            node("Gather", ["y", "at"], ["best_boxes"]),
        ]
        made = [("best", FLOAT, ["m"]), ("best_boxes", FLOAT, ["m", 4])]
    weights = [
        constant("w", np.random.default_rng(0).normal(size=(6, 3, 3, 3))),
        constant("by_box", [1, BOXES, 6], np.int64),
        constant("parts", [2, 2, 2], np.int64),
        constant("most", [4], np.int64),
        constant("overlap", [0.5]),
        constant("least", [1.0]),
        *(constant(name, number, np.int64) for name, number in (("one", 1), ("two", 2), ("nought", [0]), ("ten", [3]))),
    ]
    outputs = [value(name, shape, kind) for name, kind, shape in made]
    return unchecked(nodes, [value("x", [1, 3, 4, 5])], outputs, weights)


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
EXAMPLE = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 3


@pytest.mark.parametrize(
    ("pads", "shapes"), [(False, {"y": (8, 4), "label": (8,), "score": (8,)}), (True, {"best": (8,), "best_boxes": (8, 4)})]
)
def test_no_answer_exceeds_the_limit_and_some_reach_it_nearly(pads: bool, shapes: dict[str, tuple[int, ...]]) -> None:
    made = detector(pads=pads)
    traced = trace_onnx(made, (EXAMPLE,))
    wires = {wire.name: wire for wire in map(wire_of, traced.model.graph.outputs)}
    assert {name: wire.shape for name, wire in wires.items()} == shapes
    assert all(wire.open_axes == (0,) for wire in wires.values())
    assert not any(tensor.may_cross for tensor in traced.graph.tensors if tensor.is_output)
    random = np.random.default_rng(1)
    longest = 0
    for scale in (0.1, 1, 3, 30) * 5:
        for name, array in answers(made, {"x": (random.normal(size=EXAMPLE.shape) * scale).astype(np.float32)}).items():
            assert wires[name].fits(array.shape)
            longest = max(longest, len(array))
    assert longest >= 3


def test_halves_of_a_detector_answer_with_as_many_boxes_as_there_are(tmp_path: Path) -> None:
    made = detector()
    splitting_model = cic.compile(cic.trace_model(made, (EXAMPLE,)), **MACHINES)
    cic.emit(made, splitting_model, tmp_path / "boxes.split")
    counts = set()
    for cut_id in (cut.id for cut in splitting_model.cuts):
        cut = load_cut(tmp_path / "boxes.split", cut_id)
        for scale in (0.0, 1.0, 2.0, 3.0):
            answer = cut.tail(*cut.head(x=EXAMPLE.numpy() * scale))
            expected = answers(made, {"x": EXAMPLE.numpy() * scale})
            counts.add(len(answer["score"]))
            assert answer.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_allclose(answer[name], array, rtol=1e-5)
    assert len(counts) > 1
    (wires,) = {cut.output_wires for cut in read_manifest(tmp_path / "boxes.split").cuts}
    assert [(wire.name, wire.shape, wire.open_axes) for wire in wires] == [
        ("y", (8, 4), (0,)), ("label", (8,), (0,)), ("score", (8,), (0,))
    ]  # fmt: skip


COUNTED = [node("Relu", ["x"], ["r"]), node("NonZero", ["r"], ["i"]), node("Size", ["i"], ["n"])]


@pytest.mark.parametrize(
    "steps",
    [
        [node("Sub", ["many", "n"], ["less"])],
        [node("Mul", ["n", "minus"], ["negative"]), node("Add", ["many", "negative"], ["less"])],
        [node("Div", ["many", "n"], ["less"])],
        [node("Neg", ["n"], ["negative"]), node("Add", ["many", "negative"], ["less"])],
    ],
    ids=["difference", "negative factor", "quotient", "negative"],
)
def test_what_may_shrink_as_a_count_grows_has_no_known_limit(steps: list[onnx.NodeProto]) -> None:
    after = [node("Reshape", ["less", "all"], ["l"]), node("Expand", ["half", "l"], ["y"])]
    weights = [constant("many", 40, np.int64), constant("minus", -1, np.int64), constant("half", 0.5)]
    made = unchecked(
        [*COUNTED, *steps, *after], [value("x", [4, 4])], [value("y", ["k"])], [*weights, constant("all", [-1], np.int64)]
    )
    with pytest.raises(TraceError, match=r"output 'y' has a size that depends on the data .* and has no known limit"):
        trace_onnx(made, (torch.randn(4, 4),))


def test_what_grows_with_a_count_has_a_limit() -> None:
    steps = [
        node("Shape", ["i"], ["sizes"]),
        node("Add", ["sizes", "more"], ["longer"]),
        node("Mul", ["longer", "twice"], ["l"]),
    ]
    weights = [constant("more", [1, 4], np.int64), constant("twice", [1, 2], np.int64), constant("half", 0.5)]
    nodes = [*COUNTED[:2], *steps, node("Expand", ["half", "l"], ["y"])]
    made = unchecked(nodes, [value("x", [4, 4])], [value("y", ["r", "k"])], weights)
    x = torch.randn(4, 4)
    (wire,) = map(wire_of, trace_onnx(made, (x,)).model.graph.outputs)
    assert wire.shape == (3, 2 * (16 + 4))
    for sign in (1.0, -1.0, 0.0):
        (array,) = answers(made, {"x": (x.abs() * sign).numpy()}).values()
        assert wire.fits(array.shape) and array.shape == (3, 2 * ((16 if sign > 0 else 0) + 4))
