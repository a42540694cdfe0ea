"""From an ONNX model with known shapes to a `Graph`: which nodes are ops, which values are tensors, who reads them.

As for torch: constants are not ops, each half has its own; free views are not ops, reading one is reading its base; a
result that depends on no input stands neither among the ops nor among the outputs. If, Loop and Scan are one op each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

import onnx_ir as ir

from cic.graph import Graph, Op, Tensor
from cic.trace.onnx.values import bytes_of, dequantised, is_dequantisation
from cic.trace.onnx.work import kind_of, work_of
from codegen.splitters.onnx import LIMITED, UNSURE
from codegen.splitters.onnx_wiring import bodies, constants, reads

_VIEWS = frozenset({"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})

TYPES = frozenset(
    [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
        *("float8_e4m3fnuz", "float8_e5m2fnuz"),
    ]
)
"""What a model can take and return: torch and ONNX Runtime both have these, other types of ONNX lack one or the other."""


def build_onnx_graph(model: ir.Model, name: str, unsure: Collection[ir.Value] = ()) -> Graph:
    """Return the unfused `Graph` of a model; Op.members are names of nodes, Tensor.name names of values.

    unsure: values whose shape may change with the data, so that they must not cross. What shape they had in one run is no part
    of the graph, which has size 0 for them: so it is the same graph whatever the run.
    """
    fixed = constants(model.graph)
    base: dict[ir.Value, ir.Value] = {}
    consumers: dict[ir.Value, list[ir.Node]] = {}
    inputs_of: dict[ir.Node, list[ir.Value]] = {}
    for node in model.graph:
        if all(value in fixed for value in node.outputs):
            continue
        sources = list(dict.fromkeys(base.get(value, value) for value in reads(node) if value not in fixed))
        if is_free_view(node, fixed):
            base[node.outputs[0]] = sources[0]
            continue
        inputs_of[node] = sources
        for source in sources:
            consumers.setdefault(source, []).append(node)
    outputs = list(dict.fromkeys(base.get(value, value) for value in model.graph.outputs if value not in fixed))
    made = {node: [value for value in node.outputs if value in consumers or value in outputs] for node in inputs_of}
    values = [*model.graph.inputs, *(value for results in made.values() for value in results)]
    return Graph(
        name=name,
        ops=tuple(_op(node, inputs_of[node], made[node], fixed, unsure) for node in inputs_of),
        tensors=tuple(_tensor(value, consumers.get(value, []), value in outputs, value in unsure) for value in values),
        inputs=tuple(str(value.name) for value in model.graph.inputs),
        outputs=tuple(str(value.name) for value in outputs),
    )


def staying(graph: ir.Graph) -> set[ir.Value]:
    """Return the values that must not cross, since their shape may change with the data.

    Outputs are among them if they have a limit in place of a shape. All others keep that of the trial runs.
    """
    unsure = {value for node in graph for value in node.outputs if value.meta.get(UNSURE)}
    return {value for value in unsure if not value.is_graph_output() or LIMITED in value.meta}


def is_free_view(node: ir.Node, fixed: Collection[ir.Value]) -> bool:
    """Tell whether a node only shows one value in another form, by means of constants alone.

    Making floats of quantised values is such a node, too: a runtime does it within the op that reads them, and each half that
    needs the floats makes them from the small form. An answer of the model is the exception: it is sent back as it is.
    """
    if not isinstance(node.outputs[0].type, ir.TensorType):
        return False
    if is_dequantisation(node):
        if _is_returned(node.outputs[0]):
            return False
    elif node.op_type not in _VIEWS or node.domain not in ("", "ai.onnx"):
        return False
    if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        return False  # somebody reads Dropout's mask
    moving = [value for value in reads(node) if value not in fixed]
    return len(moving) == 1 and moving[0] is node.inputs[0]


def _is_returned(value: ir.Value) -> bool:
    """Tell whether a value, or a view of it, is an answer of the model."""
    views = [user for user, _ in value.uses() if user.op_type in _VIEWS]
    return value.is_graph_output() or any(_is_returned(made) for view in views for made in view.outputs[:1])


def dtype_name(value: ir.Value) -> str:
    """Return "float32", "int64" … for a tensor, else the kind of value it is."""
    if not isinstance(value.type, ir.TensorType):
        return type(value.type).__name__
    dtype = ir.DataType(value.type.dtype)
    return "string" if dtype == ir.DataType.STRING else str(dtype.numpy().name)


def _op(
    node: ir.Node, inputs: list[ir.Value], outputs: list[ir.Value], fixed: Collection[ir.Value], unsure: Collection[ir.Value]
) -> Op:
    work = work_of(node)
    return Op(
        name=str(node.name),
        kinds=(kind_of(node),),
        members=(str(node.name),),
        inputs=tuple(str(value.name) for value in inputs),
        outputs=tuple(str(value.name) for value in outputs),
        flops=work.flops,
        memory_bytes=work.memory_bytes,
        signature=hashlib.sha256(json.dumps(_described(node, fixed, unsure), sort_keys=True).encode()).hexdigest(),
        source="",
        arithmetic=work.arithmetic,
        starts=work.steps.starts,
        reread_bytes=work.steps.reread_bytes,
    )


def _tensor(value: ir.Value, consumers: list[ir.Node], is_output: bool, unsure: bool) -> Tensor:
    shape = value.shape.numpy() if not unsure and value.shape is not None and value.shape.is_static() else None
    producer = value.producer()
    dtype = value.dtype
    plain = isinstance(value.type, ir.TensorType) and dtype is not None and dtype != ir.DataType.STRING
    sendable = plain and dtype_name(value) in TYPES
    return Tensor(
        name=str(value.name),
        producer=None if producer is None else str(producer.name),
        consumers=tuple(str(consumer.name) for consumer in consumers),
        shape=shape or (),
        dtype=dtype_name(value),
        bytes=0 if shape is None else bytes_of(value),
        is_output=is_output,
        may_cross=sendable and shape is not None,
    )


def _described(node: ir.Node, fixed: Collection[ir.Value], unsure: Collection[ir.Value]) -> list[Any]:
    attributes = {name: _attribute(attribute) for name, attribute in node.attributes.items()}
    inner = [[_described(child, (), ()) for child in body] for body in bodies(node)]
    given = [value for value in node.inputs if value is not None]
    read = [[_type(value, unsure), value in fixed] for value in given]
    # Products of quantised values are others than products of floats, though they read floats as well.
    read += [["quantised", _type(dequantised(value), unsure)] for value in given if dequantised(value) is not value]
    return [node.domain, node.op_type, attributes, read, [_type(value, unsure) for value in node.outputs], inner]


def _attribute(attribute: ir.Attr) -> str:
    if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
        return "graph"
    if attribute.type == ir.AttributeType.TENSOR:
        tensor = attribute.as_tensor()
        return f"{tensor.dtype} {tensor.shape}"
    if attribute.type == ir.AttributeType.TENSORS:
        return " ".join(f"{tensor.dtype} {tensor.shape}" for tensor in attribute.as_tensors())
    return str(attribute.value)


def _type(value: ir.Value, unsure: Collection[ir.Value]) -> list[str]:
    return [str(value.type), "depends on the data" if value in unsure else str(value.shape)]
