"""Hand-written ONNX models that are hard to split, and running a split one in this process."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper, numpy_helper

from codegen.bundle.directory import CutPlan
from codegen.bundle.onnx_source import OnnxSource
from codegen.formats.onnx_session import open_session, runner_of
from codegen.split import Split
from codegen.splitters.onnx_wiring import reads

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def constant(name: str, values: object, dtype: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def value(name: str, shape: Sequence[int | str] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes: list, inputs: list, outputs: list, weights: Sequence[TensorProto] = (), **more: object) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "hand_made", inputs, outputs, list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, **more)
    onnx.checker.check_model(made)
    return made


def branching() -> onnx.ModelProto:
    """An If whose branches capture a value made outside, a weight, and, within a nested If, another value."""
    inner = helper.make_graph([helper.make_node("Mul", ["early", "w"], ["inner_y"])], "inner", [], [value("inner_y", [2, 3])])
    other = helper.make_graph([helper.make_node("Sub", ["early", "x"], ["other_y"])], "other", [], [value("other_y", [2, 3])])
    yes = helper.make_graph(
        [helper.make_node("If", ["flag"], ["yes_y"], name="nested", then_branch=inner, else_branch=other)],
        "yes", [], [value("yes_y", [2, 3])],
    )  # fmt: skip
    no = helper.make_graph([helper.make_node("Add", ["late", "w"], ["no_y"])], "no", [], [value("no_y", [2, 3])])
    return model(
        [
            helper.make_node("Relu", ["x"], ["early"], name="early_relu"),
            helper.make_node("Exp", ["early"], ["late"], name="late_exp"),
            helper.make_node("ReduceSum", ["late"], ["sum"], name="total", keepdims=0),
            helper.make_node("Greater", ["sum", "limit"], ["flag"], name="compare"),
            helper.make_node("If", ["flag"], ["chosen"], name="choose", then_branch=yes, else_branch=no),
            helper.make_node("MatMul", ["chosen", "m"], ["y"], name="last"),
        ],
        [value("x", [2, 3])],
        [value("y", [2, 4])],
        [constant("w", [0.5, 2, -1]), constant("limit", 9.0), constant("m", np.linspace(-1, 1, 12).reshape(3, 4))],
    )


def looping() -> onnx.ModelProto:
    """A Loop whose body captures a value made outside and a weight."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "outside"], ["next"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("ReduceSum", ["next"], ["trace"], keepdims=0),
        ],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("state", [2, 3])],
        [value("go_on", [], BOOL), value("next", [2, 3]), value("trace", [])],
    )
    return model(
        [
            helper.make_node("Tanh", ["x"], ["outside"], name="outside_tanh"),
            helper.make_node("Neg", ["x"], ["start"], name="start_neg"),
            helper.make_node("Loop", ["count", "", "start"], ["end", "traces"], name="repeat", body=body),
            helper.make_node("Relu", ["end"], ["y"], name="last"),
        ],
        [value("x", [2, 3])],
        [value("y", [2, 3]), value("traces", [4])],
        [constant("count", 4, np.int64), constant("scale", [0.5, 0.25, -0.5])],
    )


def plumbing() -> onnx.ModelProto:
    """Views read on both sides, a weight used twice, an unused input, outputs that are an input, early, and constant."""
    return model(
        [
            helper.make_node("Gemm", ["x", "w"], ["a"], name="first"),
            helper.make_node("Shape", ["a"], ["sizes"], name="sizes_of_a"),
            helper.make_node("Transpose", ["a"], ["t"], name="turn"),
            helper.make_node("Reshape", ["t", "sizes"], ["back"], name="form"),
            helper.make_node("Relu", ["t"], ["r"], name="relu_of_view"),
            helper.make_node("Split", ["back"], ["left", "right"], name="halve", num_outputs=2),
            helper.make_node("MatMul", ["a", "r"], ["product"], name="product"),
            helper.make_node("ReduceMax", ["left"], ["peak"], name="peak", keepdims=0),
            helper.make_node("Add", ["peak", "product"], ["late"], name="late_add"),
            helper.make_node("Gemm", ["late", "w"], ["again"], name="second"),
            helper.make_node("Neg", ["w"], ["turned_weight"], name="weight_only"),
        ],
        [value("x", [4, 4]), value("unused", [2])],
        [
            value("again", [4, 4]),
            value("t", [4, 4]),
            value("x", [4, 4]),
            value("right", [2, 4]),
            value("turned_weight", [4, 4]),
        ],
        [constant("w", np.cos(np.arange(16)).reshape(4, 4))],
    )


def counting() -> onnx.ModelProto:
    """How many values there are in the middle depends on the data."""
    return model(
        [
            helper.make_node("Tanh", ["x"], ["bent"], name="bend"),
            helper.make_node("NonZero", ["bent"], ["places"], name="find"),
            helper.make_node("Transpose", ["places"], ["rows"], name="turn"),
            helper.make_node("GatherND", ["bent", "rows"], ["found"], name="pick"),
            helper.make_node("ReduceSum", ["found"], ["y"], name="total", keepdims=0),
        ],
        [value("x", [3, 4])],
        [value("y", [])],
    )


def save(made: onnx.ModelProto, path: Path) -> Path:
    onnx.save(made, path)
    return path


def read(made: onnx.ModelProto) -> ir.Model:
    """The model as codegen cuts it: with the shapes that its own ops give it, and those that a loop is sure to keep."""
    whole = ir.from_proto(onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True))
    for node in whole.graph:
        if node.op_type == "Loop":
            for result, state in zip(node.outputs, node.inputs[2:], strict=False):
                result.shape = state.shape
    return whole


def random_inputs(whole: ir.Model, seed: int) -> dict[str, np.ndarray]:
    random_numbers = np.random.default_rng(seed)
    return {str(value.name): random_numbers.normal(size=value.shape.numpy()).astype(np.float32) for value in whole.graph.inputs}


def source_of(path: Path) -> OnnxSource:
    """The file as the source of a bundle, its example call drawn at random."""
    whole = read(onnx.load(path))
    example = {name: torch.from_numpy(array) for name, array in random_inputs(whole, 1).items()}
    return OnnxSource(whole, path, path.name, may_cross(whole), example, f"by hand: {path.name}")


def plans_of(whole: ir.Model, step: int) -> list[CutPlan]:
    """A cut before every so many nodes, the first one with none on the device and the last one with all."""
    names = [str(node.name) for node in whole.graph]
    ends = [*range(0, len(names), step), len(names)]
    ids = ["server-only", *(f"cut-{end}" for end in ends[1:-1]), "device-only"]
    return [CutPlan(cut_id, frozenset(names[:end]), tuple(names[:end])) for cut_id, end in zip(ids, ends, strict=True)]


def may_cross(whole: ir.Model) -> set[str]:
    """Names of the inputs, and of the values of fixed shapes that some node makes."""
    values = (*whole.graph.inputs, *(value for node in whole.graph for value in node.outputs))
    return {str(value.name) for value in values if value.shape is not None and value.shape.is_static()}


def closed_sets(whole: ir.Model, count: int, seed: int = 3) -> list[frozenset[str]]:
    """Sets of nodes closed under predecessors: none, all, and some grown from random nodes."""
    choice, nodes = random.Random(seed), list(whole.graph)
    sets: list[set[ir.Node]] = [set(), set(nodes)]
    for _ in range(count):
        grown: set[ir.Node] = set()
        waiting = choice.sample(nodes, min(len(nodes), choice.choice((1, 2))))
        while waiting:
            node = waiting.pop()
            if node not in grown:
                grown.add(node)
                waiting += [made for value in reads(node) if (made := value.producer()) is not None]
        sets.append(grown)
    return [frozenset(str(node.name) for node in chosen) for chosen in sets]


def run_split(halves: Split, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run both halves from their bytes, handing over exactly what is said to cross."""
    results = []
    given: Sequence[np.ndarray] = inputs
    for half in (halves.head, halves.tail):
        raw = ir.to_proto(half).SerializeToString()
        results.append(runner_of(open_session(raw, "a half"), "a half")(*given) if given else _run_alone(raw))
        given = results[0][: len(halves.crossing)]
    by_half: Mapping[str, Sequence[np.ndarray]] = {"head": results[0], "tail": results[1]}
    return [by_half[source.half][source.position] for source in halves.outputs]


def _run_alone(raw: bytes) -> Sequence[np.ndarray]:
    session = open_session(raw, "a half without inputs")
    return [] if session.get_modelmeta().custom_metadata_map else session.run(None, {})


def run_whole(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    session = open_session(path, path.name)
    return session.run(None, {value.name: inputs[value.name] for value in session.get_inputs() if value.name in inputs})
