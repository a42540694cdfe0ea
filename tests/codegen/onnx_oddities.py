"""ONNX models written as converters and people write them: all of them run, and few are by the book."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.codegen.onnx_models import BOOL, FLOAT, INT64, constant, value

X = [4, 4]
node = helper.make_node
RANDOM = np.random.default_rng(5)


def weight(name: str, *shape: int) -> TensorProto:
    return constant(name, RANDOM.normal(size=shape))


def unchecked(
    nodes: list, inputs: list, outputs: list, weights: Sequence[TensorProto] = (), *, opset: int = 17, **more: object
) -> onnx.ModelProto:
    """No checker has a say here."""
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1), helper.make_opsetid("com.microsoft", 1)]
    graph = {key: more.pop(key) for key in ("value_info", "sparse_initializer") if key in more}
    made = helper.make_graph(nodes, "odd", inputs, outputs, list(weights), **graph)
    return helper.make_model(made, opset_imports=domains, ir_version=8, **more)


def chosen(then_branch: onnx.GraphProto, else_branch: onnx.GraphProto) -> list:
    """Nodes that take one branch or the other as the sum of x says, and go on with q."""
    return [
        node("Relu", ["x"], ["r"]),
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Cast", ["sum"], ["flag"], to=BOOL),
        node("If", ["flag"], ["q"], then_branch=then_branch, else_branch=else_branch),
    ]


def branch(nodes: list, result: str, shape: Sequence[int] | None, weights: Sequence[TensorProto] = ()) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [value(result, shape)], list(weights))


def training_batch_norm(opset: int) -> onnx.ModelProto:
    """Normalises by the batch, and remembers it."""
    names, mode = ("scale", "bias", "mean", "variance"), {} if opset < 14 else {"training_mode": 1}
    made = ["q", "new_mean", "new_variance", *(["saved_mean", "saved_variance"] if opset < 14 else [])]
    return unchecked(
        [
            node("Relu", ["x"], ["r"]),
            node("BatchNormalization", ["r", *names], made, **mode),
            node("Neg", ["q"], ["y"]),
        ],
        [value("x", X)],
        [value("y", X)],
        [constant(name, np.linspace(1, 2, 4)) for name in names],
        opset=opset,
    )


def unsorted() -> onnx.ModelProto:
    nodes = [node("Neg", ["q"], ["y"]), node("Exp", ["r"], ["q"]), node("Relu", ["x"], ["r"])]
    return unchecked(nodes, [value("x", X)], [value("y", X)])


def same_output_twice() -> onnx.ModelProto:
    nodes = [node("Relu", ["x"], ["r"]), node("Exp", ["r"], ["y"])]
    return unchecked(nodes, [value("x", X)], [value("y", X), value("y", X), value("r", X)])


def outputs_that_are_given() -> onnx.ModelProto:
    """The input, a weight, and what is made of a weight alone."""
    nodes = [node("Relu", ["x"], ["r"]), node("Add", ["r", "w"], ["y"]), node("Neg", ["w"], ["k"])]
    outputs = [value(name, X) for name in ("x", "y", "w", "k")]
    return unchecked(nodes, [value("w", X), value("x", X)], outputs, [weight("w", 4, 4)])


def sparse() -> onnx.ModelProto:
    numbers = [constant(name, [1.5, 2.5]) for name in ("w", "v", "u")]
    flat, pairs = constant("flat", [0, 13], np.int64), constant("pairs", [[0, 1], [3, 3]], np.int64)
    places = [flat, pairs, flat]
    kept, added, inner = (helper.make_sparse_tensor(*both, X) for both in zip(numbers, places, strict=True))
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("MatMul", ["r", "w"], ["q"]),
        node("Constant", [], ["c"], sparse_value=inner),
        node("Add", ["q", "v"], ["p"]),
        node("MatMul", ["p", "c"], ["y"]),
    ]
    return unchecked(nodes, [value("x", X)], [value("y", X)], sparse_initializer=[kept, added])


def strings() -> onnx.ModelProto:
    """Text as weights, as attributes, and on the way."""
    texts = [helper.make_tensor(name, TensorProto.STRING, [1], [b"a"]) for name in ("c", "d")]
    nodes = [
        node("Equal", ["c", "d"], ["same"]),
        node("Constant", [], ["e"], value_strings=[b"a", b"b"]),
        node("Equal", ["e", "c"], ["which"]),
        node("Cast", ["which"], ["share"], to=FLOAT),
        node("ReduceSum", ["share"], ["sum"], keepdims=0),
        node("Cast", ["x"], ["text"], to=TensorProto.STRING),
        node("Cast", ["text"], ["back"], to=FLOAT),
        node("Where", ["same", "back", "x"], ["q"]),
        node("Mul", ["q", "sum"], ["y"]),
    ]
    return unchecked(nodes, [value("x", X)], [value("y", X)], texts, opset=19)


def functions() -> onnx.ModelProto:
    """Functions of functions, with names that are there outside, too, and one within a branch."""
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    twice = helper.make_function(
        "local", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["m"]), node("Relu", ["m"], ["b"])], domains
    )
    inner = [node("Twice", ["a"], ["m"], domain="local"), node("Twice", ["m"], ["b"], domain="local")]
    four = helper.make_function("local", "Four", ["a"], ["b"], inner, domains)
    yes = branch([node("Four", ["r"], ["b"], domain="local")], "b", X)
    no = branch([node("Neg", ["r"], ["n"])], "n", X)
    nodes = [*chosen(yes, no), node("Twice", ["q"], ["m"], domain="local"), node("Exp", ["m"], ["y"])]
    return unchecked(nodes, [value("x", X)], [value("y", X)], functions=[four, twice])


def names_of_all_kinds() -> onnx.ModelProto:
    yes = branch([node("Add", ["/r:0", "w"], ["b"])], "b", X, [weight("w", 4, 4)])
    no = branch([node("Clip", ["/r:0", "", "high"], ["n"])], "n", X)
    nodes = [
        node("Relu", ["/in/x.1:0"], ["/r:0"], name="/relu/1"),
        node("Dropout", ["/r:0"], ["d", ""], name=""),
        node("ReduceSum", ["d"], ["s"], keepdims=0),
        node("Cast", ["s"], ["flag"], to=BOOL),
        node("If", ["flag"], ["q"], then_branch=yes, else_branch=no),
        node("Exp", ["q"], ["answer è"]),
    ]
    return unchecked(nodes, [value("/in/x.1:0", X)], [value("answer è", X)], [constant("high", 0.5)])


def branches_of_two_shapes() -> onnx.ModelProto:
    yes = branch([node("Transpose", ["r"], ["t"])], "t", None)
    no = branch([node("Concat", ["r", "r"], ["c"], axis=0)], "c", None)
    return unchecked([*chosen(yes, no), node("ReduceMax", ["q"], ["y"], keepdims=0)], [value("x", X)], [value("y", [])])


def sequence() -> onnx.ModelProto:
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("SplitToSequence", ["r"], ["rows"], axis=0),
        node("ConcatFromSequence", ["rows"], ["q"], axis=0),
        node("Exp", ["q"], ["y"]),
    ]
    return unchecked(nodes, [value("x", X)], [value("y", X)])


def foreign() -> onnx.ModelProto:
    """Operators that ONNX does not know and ONNX Runtime does."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Gelu", ["r"], ["q"], domain="com.microsoft"),
        node("FusedMatMul", ["q", "w"], ["y"], domain="com.microsoft", transB=1),
    ]
    return unchecked(nodes, [value("x", ["n", 4])], [value("y", None)], [weight("w", 3, 4)])


def counted_and_padded() -> onnx.ModelProto:
    """How many there are depends on the data, but not how many come out."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("NonZero", ["r"], ["places"]),
        node("Cast", ["places"], ["f"], to=FLOAT),
        node("Concat", ["f", "more"], ["enough"], axis=1),
        node("Slice", ["enough", "first", "last", "axis"], ["y"]),
    ]
    numbers = {"first": 0, "last": 6, "axis": 1}
    weights = [constant("more", np.zeros((2, 16))), *(constant(name, [at], np.int64) for name, at in numbers.items())]
    return unchecked(nodes, [value("x", X)], [value("y", [2, 6])], weights)


def count_used_elsewhere() -> onnx.ModelProto:
    """The shape of a value that depends on data is a number like others, and never a constant."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("NonZero", ["r"], ["places"]),
        node("Shape", ["places"], ["sizes"]),
        node("Cast", ["sizes"], ["f"], to=FLOAT),
        node("ReduceSum", ["f"], ["many"], keepdims=0),
        node("Mul", ["r", "many"], ["y"]),
    ]
    return unchecked(nodes, [value("x", X)], [value("y", X)])


def stale(loop: bool, grows: bool = False) -> onnx.ModelProto:
    """Everything within says batch 1, or nothing; the batch was opened later."""
    if not loop:
        nodes = [node("MatMul", ["x", "w"], ["m"]), node("Softmax", ["m"], ["s"]), node("Neg", ["s"], ["y"])]
        inside = [value("m", [1, 8]), value("s", [1, 8])]
        return unchecked(nodes, [value("x", ["n", 4])], [value("y", [1, 8])], [weight("w", 4, 8)], value_info=inside)
    step = node("Concat", ["state", "r"], ["next"], axis=0) if grows else node("Add", ["state", "r"], ["next"])
    shape = [None, 4] if grows else [1, 4]
    body = helper.make_graph(
        [step, node("Identity", ["go"], ["on"]), node("ReduceSum", ["next"], ["row"], keepdims=0)],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("state", shape)],
        [value("on", [], BOOL), value("next", shape), value("row", [])],
    )
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Loop", ["count", "", "x"], ["end", "rows"], body=body),
        node("ReduceMax", ["end"], ["y"], axes=[0], keepdims=0),
    ]
    return unchecked(nodes, [value("x", ["n", 4])], [value("y", [4]), value("rows", [3])], [constant("count", 3, np.int64)])


ODDITIES: dict[str, Callable[[], onnx.ModelProto]] = {
    made.__name__: made
    for made in (
        *(unsorted, same_output_twice, outputs_that_are_given, sparse, strings, functions),
        *(names_of_all_kinds, branches_of_two_shapes, sequence, foreign, counted_and_padded, count_used_elsewhere),
    )
}
ODDITIES |= {
    "stale": lambda: stale(loop=False),
    "stale_loop": lambda: stale(loop=True),
    "growing_loop": lambda: stale(loop=True, grows=True),
}
"""A model of each kind; all take one float32 input of 4 x 4."""


def quantised() -> onnx.ModelProto:
    """What a quantiser writes: a product between rounded values, and its answer rounded, too."""
    weights = [
        constant("scale", 0.05),
        constant("coarse", 0.25),
        constant("zero", 0, np.int8),
        constant("w", RANDOM.integers(-9, 9, (4, 4)), np.int8),
    ]
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        node("DequantizeLinear", ["xq", "scale", "zero"], ["xf"]),
        node("DequantizeLinear", ["w", "scale", "zero"], ["wf"]),
        node("MatMul", ["xf", "wf"], ["m"]),
        node("QuantizeLinear", ["m", "coarse", "zero"], ["yq"]),
        node("DequantizeLinear", ["yq", "coarse", "zero"], ["yf"]),
        node("Flatten", ["yf"], ["y"]),
        node("Exp", ["yf"], ["grown"]),
        node("Neg", ["wf"], ["only_weights"]),
    ]
    outputs = [value("y", X), value("yq", X, TensorProto.INT8), value("grown", X), value("only_weights", X), value("x", X)]
    return unchecked(nodes, [value("x", X)], outputs, weights)
