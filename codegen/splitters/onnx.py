"""Cuts an ONNX model in two, see `codegen.splitters.sides`.

If, Loop and Scan stay whole, and what their bodies capture counts as read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx_ir as ir

from codegen.errors import UnsplittableError
from codegen.split import RETURNS_NOTHING, Half, Split, WireTensor
from codegen.splitters.onnx_wiring import all_nodes, bodies, constants, reads
from codegen.splitters.sides import ancestors, split_at

OPEN = "cic.open"
"""Key in the `meta` of a model whose halves do not say what shapes they are made for: ONNX Runtime, which works shapes out
again, would refuse them for the sake of a branch that is never taken. Callers check shapes against the manifest anyway."""
UNSURE = "cic.unsure"
"""Key in the `meta` of a value whose shape depends on the data. ONNX Runtime would take a written shape for granted."""
LIMITED = "cic.limited"
"""Key in the `meta` of an output whose size the data decides: its greatest shape, and along which axes it may be shorter."""
_WEIGHTS_ARE_NO_INPUTS = 4
"""The version of the format since which a weight need not be an input of its graph, too."""


def split_onnx(model: ir.Model, device_nodes: Collection[str], tensors: Collection[str]) -> Split:
    """Split `model` so that the nodes `device_nodes` run in the head and all others in the tail; both are ONNX models.

    Node and value names must be unique, shapes and types of all wire values known, and functions inlined.
    Raises as `codegen.splitters.sides.split_at`.
    """
    return split_at(_OnnxWiring(model), device_nodes, tensors)


def wire_tensor(value: ir.Value) -> WireTensor:
    """Return name, shape, dtype and contiguous size of a value; UnsplittableError if it is not one tensor of fixed shape.

    Where the data decides the size of an output, these are the greatest there can be.
    """
    if not isinstance(value.type, ir.TensorType) or value.shape is None or not value.shape.is_static():
        raise UnsplittableError(
            f"{value.name} is no tensor of a fixed shape ({value.type}, {value.shape}), so it cannot be passed between"
            " device and server; keep the op that makes it and the ops that read it on one side"
        )
    shape, open_axes = value.meta.get(LIMITED, (value.shape.numpy(), ()))
    dtype = ir.DataType(value.type.dtype)
    size = 1
    for dimension in shape:
        size *= dimension
    return WireTensor(str(value.name), shape, str(dtype.numpy().name), size * dtype.numpy().itemsize, open_axes)


class _OnnxWiring:
    """See `codegen.splitters.sides.Wiring`."""

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.inputs = list(model.graph.inputs)
        self.values = [*self.inputs, *(value for node in model.graph for value in node.outputs)]
        self.results = list(model.graph.outputs)
        self.nodes = {str(node.name) for node in model.graph}
        self.constants = constants(model.graph)

    def name(self, value: ir.Value) -> str:
        return str(value.name)

    def maker(self, value: ir.Value) -> str | None:
        producer = value.producer()
        return None if producer is None else producer.name

    def reads(self, value: ir.Value) -> Sequence[ir.Value]:
        return _reads(value)

    def wire(self, value: ir.Value) -> WireTensor:
        return wire_tensor(value)

    def part(self, inputs: Sequence[ir.Value], results: Sequence[ir.Value], half: Half) -> ir.Model:
        return clone_part(self.model, inputs, results, half)


def _reads(value: ir.Value) -> Sequence[ir.Value]:
    producer = value.producer()
    return () if producer is None else reads(producer)


def clone_part(model: ir.Model, inputs: Sequence[ir.Value], results: Sequence[ir.Value], name: str) -> ir.Model:
    """Return the part of a model that computes `results` from `inputs`, as a model with the weights that it uses.

    A result that is an input, a constant or there twice gets a name of its own, which ends in "_passed".
    """
    needed = ancestors(results, set(inputs), _reads) - set(inputs)
    nodes = [node for node in model.graph if not needed.isdisjoint(node.outputs)]
    weights = [value for value in model.graph.initializers.values() if value in needed]
    view = ir.GraphView(
        inputs, list(dict.fromkeys(results)), nodes=nodes, initializers=weights, opset_imports=model.opset_imports, name=name
    )
    graph = view.clone()
    by_name = {value.name: value for value in (*graph.inputs, *graph.initializers.values())}
    by_name |= {value.name: value for node in graph for value in node.outputs}
    outputs = [by_name[result.name] for result in results]
    graph.outputs.clear()
    for position, value in enumerate(outputs):
        passed = value in graph.inputs or value.is_initializer() or value in outputs[:position]
        graph.outputs.append(_passed_on(graph, value, by_name) if passed else value)
    part = ir.Model(graph, ir_version=max(model.ir_version, _WEIGHTS_ARE_NO_INPUTS), producer_name=model.producer_name)
    forget_shapes(graph, model.meta.get(OPEN, False))
    if not results:
        graph.append(node := ir.node("Constant", [], attributes={"value_float": 0.0}))
        node.outputs[0].name = "nothing"
        node.outputs[0].type, node.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([])
        graph.outputs.append(node.outputs[0])
        part.metadata_props[RETURNS_NOTHING] = "1"
    return part


def opened(model: ir.Model) -> ir.Model:
    """Return a model that leaves the sizes of its inputs open, and says nothing of any other shape."""
    graph = model.graph.clone()
    forget_shapes(graph, True)
    return ir.Model(graph, ir_version=model.ir_version, producer_name=model.producer_name)


def forget_shapes(graph: ir.Graph, everywhere: bool) -> None:
    """Leave out of a graph what it says of shapes that depend on the data, or, everywhere, of any; in place."""
    made = [value for node in all_nodes(graph) for value in node.outputs]
    # But for the count and the condition of a Loop, which ONNX Runtime wants to see are single values.
    loops = [(body, node.op_type == "Loop") for node in all_nodes(graph) for body in bodies(node)]
    taken = [value for body, is_loop in loops for value in body.inputs[2 if is_loop else 0 :]]
    for value in dict.fromkeys((*graph.inputs, *taken, *made, *graph.outputs)):
        if value.shape is None or not (everywhere or value.meta.get(UNSURE)) or value.is_initializer():
            continue
        border = value in graph.inputs or value in graph.outputs
        value.shape = ir.Shape([None] * len(value.shape)) if border else None


def _passed_on(graph: ir.Graph, value: ir.Value, by_name: dict[str | None, ir.Value]) -> ir.Value:
    name = f"{value.name}_passed"
    while name in by_name:
        name += "_passed"
    node = ir.node("Identity", [value])
    result = node.outputs[0]
    result.name, result.type, result.shape = name, value.type, value.shape
    result.meta.update(value.meta)
    by_name[name] = result
    graph.append(node)
    return result
