"""The shape of every value of an ONNX model: inferred from the inputs, and where that gives up, found by running it once.

What a file says about the values inside is not believed: many were written for another batch, and ONNX Runtime does not
believe it either. A shape found by running may depend on the values of that one input. It is trusted only if no op before it
picks or computes sizes from data; all others are reported, and stay on the side where they are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import onnx
import onnx_ir as ir

from cic.trace.onnx.greatest_shapes import greatest_shapes
from cic.trace.onnx.loops import conclude, drop_broken, forget_bodies, suppose
from cic.trace.onnx.trial import Trial
from codegen.splitters.onnx_wiring import constants, reads

# How many of their results there are depends on values, not only on shapes.
_COUNTS_DATA = frozenset(["NonZero", "Unique", "NonMaxSuppression", "Compress", "StringSplit"])
# So it may be for these: it depends on which branch is taken, how often a body runs, or on a number.
_MAY_COUNT_DATA = frozenset(
    [
        *("If", "Loop", "Scan", "SequenceAt", "SequenceMap", "Range", "ConstantOfShape", "Resize", "Upsample"),
        *("HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix"),
    ]
)
_INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)
_SMALL_BYTES = 4096  # shapes, axes and the like, which inference must be able to read


@dataclass(frozen=True)
class Sizes:
    """Which values may change their shape with the data.

    unsure: these values, each with the op that is known to count data on the way to it, None if none is known to.
    varying: those of the model's outputs that had several shapes in trial runs.
    limited: those of the model's outputs among the unsure ones whose greatest shape is known, with it and the axes along which
        they may be shorter.
    """

    unsure: Mapping[ir.Value, ir.Node | None] = field(default_factory=dict)
    varying: frozenset[ir.Value] = frozenset()
    limited: Mapping[ir.Value, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)


def fix_shapes(model: ir.Model, examples: Mapping[str, Any]) -> Sizes:
    """Give every tensor of `model` its shape and type, in place; return the values whose shape may change with the data.

    Raises TraceError if shapes are still unknown after inference and the model cannot be run on `examples`.
    """
    _forget_declared(model.graph)
    dropped: set[ir.Value] = set()
    while True:
        consistent = _infer(model)
        more = _freeze_shape_nodes(model.graph) > 0 or suppose(model.graph, dropped) or conclude(model.graph)
        if not more and not drop_broken(model.graph, dropped):
            break
    unknown = _unknown(model.graph)
    if not unknown and consistent:
        return Sizes()
    unsure = _depending_on_data(model.graph, set(unknown))
    outputs = [value for value in model.graph.outputs if value in unsure]
    greatest = greatest_shapes(model, outputs, _infer) if outputs else {}
    limited = {value: (most, _open_axes(value, most)) for value in outputs if (most := greatest.get(str(value.name)))}
    trial = Trial(model, unknown)
    found = trial.measure(examples)
    for value in unknown:
        if value.name in found:
            value.type, value.shape = found[str(value.name)]
    varying = trial.varying([str(value.name) for value in outputs], examples) if outputs else set()
    return Sizes(unsure, frozenset(value for value in outputs if value.name in varying), limited)


def _open_axes(value: ir.Value, most: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes along which nothing but the data says how long a value is."""
    sizes = [None] * len(most) if value.shape is None else list(value.shape)
    return tuple(axis for axis, size in enumerate(sizes) if not isinstance(size, int))


def _forget_declared(graph: ir.Graph) -> None:
    """Forget every shape but those of the inputs."""
    for node in graph:
        for value in node.outputs:
            value.shape = None
    forget_bodies(graph)


def _infer(model: ir.Model) -> bool:
    """Run ONNX's own inference on the model without its large weights, and take over what it found.

    Returns whether it found no contradiction.
    """
    with _without_large_weights(model.graph):
        proto = ir.to_proto(model)
    consistent = True
    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True, strict_mode=True)
    except Exception:  # a node cannot work on such shapes, says inference; it may be one that never runs  # noqa: BLE001
        consistent = False
        try:
            inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        except Exception:  # the model may still run, and then shapes are measured  # noqa: BLE001
            return False
    for graph, found in zip(model.graphs(), ir.from_proto(inferred).graphs(), strict=True):
        by_name = {value.name: value for node in found for value in node.outputs}
        for value in (value for node in graph for value in node.outputs if value.name in by_name):
            other = by_name[value.name]
            value.type = other.type or value.type
            if other.shape is not None and (value.shape is None or not value.shape.is_static()):
                value.shape = other.shape
    return consistent


@contextmanager
def _without_large_weights(graph: ir.Graph) -> Iterator[None]:
    """Stand-ins without bytes take the place of large weights, so that any model fits into a protobuf message."""
    held = {value: value.const_value for part in (graph, *graph.subgraphs()) for value in part.initializers.values()}
    for value, tensor in held.items():
        if tensor is not None and tensor.dtype != ir.DataType.STRING and tensor.nbytes > _SMALL_BYTES:
            value.const_value = ir.ExternalTensor(
                "left-out", 0, tensor.nbytes, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=str(value.name)
            )
    try:
        yield
    finally:
        for value, tensor in held.items():
            value.const_value = tensor


def _freeze_shape_nodes(graph: ir.Graph) -> int:
    """Replace Shape and Size of values of known shape by constants; return how many."""
    frozen = 0
    for node in list(graph):
        if node.op_type not in ("Shape", "Size") or node.domain not in ("", "ai.onnx"):
            continue
        source, result = node.inputs[0], node.outputs[0]
        if source is None or source.shape is None or not source.shape.is_static() or result.is_graph_output():
            continue
        sizes = source.shape.numpy()
        if node.op_type == "Shape":
            start, end = (node.attributes[key].as_int() if key in node.attributes else None for key in ("start", "end"))
            tensor = ir.tensor(list(sizes[start:end]), dtype=ir.DataType.INT64)
        else:
            count = 1
            for size in sizes:
                count *= size
            tensor = ir.tensor(count, dtype=ir.DataType.INT64)
        constant = ir.node("Constant", [], attributes={"value": tensor}, name=node.name)
        fixed = constant.outputs[0]
        graph.insert_before(node, constant)
        result.replace_all_uses_with(fixed)
        graph.remove(node, safe=True)
        fixed.name, fixed.type, fixed.shape = result.name, ir.TensorType(ir.DataType.INT64), ir.Shape(tensor.shape.numpy())
        frozen += 1
    return frozen


def _unknown(graph: ir.Graph) -> list[ir.Value]:
    values = [value for node in graph for value in node.outputs if value.name]
    return [value for value in values if _is_tensor_or_untyped(value) and not _is_known(value)]


def _is_tensor_or_untyped(value: ir.Value) -> bool:
    return value.type is None or isinstance(value.type, ir.TensorType)


def _is_known(value: ir.Value) -> bool:
    return value.type is not None and value.shape is not None and value.shape.is_static()


def _depending_on_data(graph: ir.Graph, unknown: set[ir.Value]) -> dict[ir.Value, ir.Node | None]:
    fixed = constants(graph)
    unsure: dict[ir.Value, ir.Node | None] = {}
    for node in graph:
        given = [value for value in reads(node) if value not in fixed]
        # Beyond the first input, integers that are computed are usually sizes, bounds, axes or counts.
        computed = [value for value in node.inputs[1:] if value in given and value is not None and value.dtype in _INTEGERS]
        before = [value for value in given if value in unsure]
        counts, may_count = node.op_type in _COUNTS_DATA, node.op_type in _MAY_COUNT_DATA
        if not given or not (counts or may_count or computed or before):
            continue
        causes = [node] if counts else [unsure[value] for value in before]
        cause = next((cause for cause in causes if cause is not None), None)
        unsure.update({value: cause for value in node.outputs if value in unknown})
    return unsure
