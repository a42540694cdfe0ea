"""The greatest shape that a value of an ONNX model can have where the data decides its size.

An op that counts says how many results it can have at most: NonZero as many as there are values, NonMaxSuppression as many
boxes for each class as it is told. Suppose each such op gives so many, and infer the shapes of what follows. These are limits,
since all ops that are admitted here (`_GROWING`) give no smaller result for larger inputs. The same is asked of numbers that
are computed from a size, such as the k of a TopK (`_COUNTING`): sums, minima and maxima grow with their terms, and products
with factors that are not negative. Where anything else stands between count and output, no limit is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod

import onnx_ir as ir

from codegen.split import LARGEST_TENSOR
from codegen.splitters.onnx_wiring import reads

Shape = tuple[int, ...]

_ELEMENTWISE = frozenset(
    [
        *("Abs", "Add", "And", "BitwiseAnd", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp"),
        *("Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsNaN", "LeakyRelu", "Less"),
        *("LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round"),
        *("Sigmoid", "Sign", "Sin", "Softmax", "LogSoftmax", "Softplus", "Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor"),
    ]
)
_GROWING = _ELEMENTWISE | {
    *("ArgMax", "ArgMin", "Compress", "Concat", "Conv", "ConvTranspose", "CumSum", "Expand", "Flatten", "Gather"),
    *("GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "NonMaxSuppression", "NonZero"),
    *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "RoiAlign", "ScatterElements"),
    *("ScatterND", "Shape", "Size", "Slice", "Split", "Squeeze", "TopK", "Transpose", "Unique", "Unsqueeze", "Tile"),
}
_COUNTING = frozenset(
    [
        *("Add", "Cast", "Concat", "Gather", "Identity", "Max", "Min", "Mul", "ReduceMax", "ReduceMin", "ReduceProd"),
        *("ReduceSum", "Reshape", "Slice", "Squeeze", "Unsqueeze"),
    ]
)
# Inputs that are numbers rather than data: sizes, counts, bounds.
_NUMBERS = {"Reshape": (1,), "Slice": (1, 2), "TopK": (1,), "Expand": (1,), "Tile": (1,), "NonMaxSuppression": (2,)}


def greatest_shapes(model: ir.Model, wanted: Collection[ir.Value], infer: Callable[[ir.Model], object]) -> dict[str, Shape]:
    """Return by name the greatest shape of each wanted value for which it is known; the model stays as it is.

    model: with the shapes that could be inferred. infer: sets shapes that follow from those that are there.
    """
    names = {str(value.name) for value in wanted}
    clone = model.clone()
    supposed: set[ir.Value] = set()
    while more := [found for node in clone.graph for found in _limits(node) if found[0] not in supposed]:
        for value, shape in more:
            value.shape = ir.Shape(shape)
            supposed.add(value)
        infer(clone)
    unlimited = _without_limit(clone.graph, supposed)
    shapes = {str(value.name): value.shape for value in clone.graph.outputs if value not in unlimited}
    found = {name: shape.numpy() for name, shape in shapes.items() if name in names and shape and shape.is_static()}
    return {name: shape for name, shape in found.items() if max((prod(shape), *shape)) < LARGEST_TENSOR}


def _limits(node: ir.Node) -> Sequence[tuple[ir.Value, Shape]]:
    """Return results of unknown shape with the greatest shape that they can have."""
    rule = _RULES.get(node.op_type)
    given = [_shape(value) for value in node.inputs]
    if rule is None or node.domain not in ("", "ai.onnx") or not given or given[0] is None:
        return ()
    limits = zip(node.outputs, rule(node, given), strict=False)
    return [(value, shape) for value, shape in limits if shape is not None and _shape(value) is None]


def _shape(value: ir.Value | None) -> Shape | None:
    return value.shape.numpy() if value is not None and value.shape is not None and value.shape.is_static() else None


def _suppressed(node: ir.Node, given: Sequence[Shape | None]) -> Sequence[Shape | None]:
    scores = given[1]
    if scores is None or len(scores) != 3:
        return (None,)
    batch, classes, boxes = scores
    told = ir.convenience.get_const_tensor(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else None
    most = boxes if told is None else min(boxes, max(0, int(told.numpy().reshape(-1)[0])))
    return ((batch * classes * most, 3),)


def _nonzero(_: ir.Node, given: Sequence[Shape | None]) -> Sequence[Shape | None]:
    shape = given[0] or ()
    return ((max(1, len(shape)), prod(shape)),)


def _compressed(node: ir.Node, given: Sequence[Shape | None]) -> Sequence[Shape | None]:
    shape = given[0] or ()
    return (shape if "axis" in node.attributes else (prod(shape),),)


def _unique(node: ir.Node, given: Sequence[Shape | None]) -> Sequence[Shape | None]:
    shape = given[0] or ()
    along = node.attributes["axis"].as_int() if "axis" in node.attributes else None
    most = prod(shape) if along is None else shape[along]
    return (shape if along is not None else (most,), (most,), (most,), (most,))


def _part(node: ir.Node, given: Sequence[Shape | None]) -> Sequence[Shape | None]:
    return [given[0]] * len(node.outputs)


_RULES: Mapping[str, Callable[[ir.Node, Sequence[Shape | None]], Sequence[Shape | None]]] = {
    "NonMaxSuppression": _suppressed,
    "NonZero": _nonzero,
    "Compress": _compressed,
    "Unique": _unique,
    "TopK": _part,
    "Slice": _part,
}


def _without_limit(graph: ir.Graph, supposed: Collection[ir.Value]) -> set[ir.Value]:
    """Return the values whose supposed shape is no limit, for an op that may shrink what it is given stands before them."""
    open_sizes, counts, unlimited = set(supposed), set[ir.Value](), set[ir.Value]()
    for node in graph:
        given = reads(node)
        if not unlimited.isdisjoint(given):
            unlimited.update(node.outputs)
            continue
        sized, counted = not open_sizes.isdisjoint(given), [value for value in given if value in counts]
        if not sized and not counted:
            continue
        measures = sized and node.op_type in ("Shape", "Size")
        as_numbers = [node.inputs[place] for place in _NUMBERS.get(node.op_type, ()) if place < len(node.inputs)]
        computes = [value for value in counted if value not in as_numbers]
        fits = node.op_type in _GROWING and (not computes or node.op_type in _COUNTING)
        if not fits or _may_shrink(node, counts):
            unlimited.update(node.outputs)
        elif measures or computes:
            counts.update(node.outputs)
        else:
            open_sizes.update(node.outputs)
    return unlimited


def _may_shrink(node: ir.Node, counts: Collection[ir.Value]) -> bool:
    """Tell whether a node that grows in other uses may give less for larger counts.

    The later a slice starts, the less is left, and the more rows are asked for, the shorter they are.
    """
    if node.op_type in ("Slice", "Reshape"):
        return node.inputs[1] in counts
    if node.op_type == "Mul":
        others = [ir.convenience.get_const_tensor(value) for value in node.inputs if value is not None and value not in counts]
        return len(others) < len(node.inputs) and not all(each is not None and (each.numpy() >= 0).all() for each in others)
    return node.op_type == "Split" and len(node.inputs) < 2
