"""Cuts an ONNX model in two: what crosses → clone each half → stitch the outputs.

The same cut as `codegen.splitters.fx` makes, of the same sorts of values: *constants* depend on no input, and every half
that needs one has it; *device ops* are the nodes in `device_nodes`; *wire values*, the inputs and the members of
`tensors`, may cross; whatever else lies behind a wire value is a *free view* of it, which a half that needs it computes.
If, Loop and Scan stay whole, and what their bodies capture counts as read. A half is what its results need and nothing
more, so weights go where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import onnx_ir as ir

from codegen.errors import CodegenError, UnsplittableError
from codegen.formats.onnx_session import RETURNS_NOTHING
from codegen.split import OutputSource, Split, WireTensor
from codegen.splitters.onnx_wiring import all_nodes, bodies, constants, reads

OPEN = "cic.open"
"""Key in the `meta` of a model whose halves do not say what shapes they are made for: ONNX Runtime, which works shapes out
again, would refuse them for the sake of a branch that is never taken. Callers check shapes against the manifest anyway."""
UNSURE = "cic.unsure"
"""Key in the `meta` of a value whose shape depends on the data. ONNX Runtime would take a written shape for granted."""
_WEIGHTS_ARE_NO_INPUTS = 4
"""The version of the format since which a weight need not be an input of its graph, too."""


def split_onnx(model: ir.Model, device_nodes: Collection[str], tensors: Collection[str]) -> Split:
    """Split `model` so that the nodes `device_nodes` run in the head and all others in the tail; both are ONNX models.

    Node and value names must be unique, shapes and types of all wire values known, and functions inlined.
    Raises UnsplittableError if an op on the device reads a value made on the server, or if an op on the server reads a
    value made on the device that is not among `tensors`; CodegenError if a name is not in the graph.
    """
    sides = _Sides(model.graph, frozenset(device_nodes), frozenset(tensors))
    sides.check()
    results = list(model.graph.outputs)
    on_device = [result for result in results if sides.is_device_made(result)]
    on_server = [result for result in results if not sides.is_device_made(result)]

    crossing = _crossing_values(sides, on_server)
    kept = [value for value in dict.fromkeys(on_device) if value not in set(crossing)]
    returned = list(dict.fromkeys(on_server))
    head, tail = [*crossing, *kept], returned
    return Split(
        head=clone_part(model, list(model.graph.inputs), head, "head"),
        tail=clone_part(model, crossing, tail, "tail"),
        inputs=tuple(map(wire_tensor, model.graph.inputs)),
        crossing=tuple(map(wire_tensor, crossing)),
        kept=tuple(map(wire_tensor, kept)),
        returned=tuple(map(wire_tensor, returned)),
        outputs=tuple(
            OutputSource("head", head.index(result))
            if sides.is_device_made(result)
            else OutputSource("tail", tail.index(result))
            for result in results
        ),
    )


def wire_tensor(value: ir.Value) -> WireTensor:
    """Return name, shape, dtype and contiguous size of a value; UnsplittableError if it is not one tensor of fixed shape."""
    if not isinstance(value.type, ir.TensorType) or value.shape is None or not value.shape.is_static():
        raise UnsplittableError(
            f"{value.name} is no tensor of a fixed shape ({value.type}, {value.shape}), so it cannot be passed between"
            " device and server; keep the op that makes it and the ops that read it on one side"
        )
    shape = value.shape.numpy()
    dtype = ir.DataType(value.type.dtype)
    size = 1
    for dimension in shape:
        size *= dimension
    return WireTensor(name=str(value.name), shape=shape, dtype=str(dtype.numpy().name), bytes=size * dtype.numpy().itemsize)


def clone_part(model: ir.Model, inputs: Sequence[ir.Value], results: Sequence[ir.Value], name: str) -> ir.Model:
    """Return the part of a model that computes `results` from `inputs`, as a model with the weights that it uses.

    A result that is an input, a constant or there twice gets a name of its own, which ends in "_passed".
    """
    needed = _needed(results, set(inputs))
    nodes = [node for node in model.graph if node in needed.nodes]
    weights = [value for value in model.graph.initializers.values() if value in needed.values]
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
    _forget_shapes(graph, model.meta.get(OPEN, False))
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
    _forget_shapes(graph, True)
    return ir.Model(graph, ir_version=model.ir_version, producer_name=model.producer_name)


def _forget_shapes(graph: ir.Graph, everywhere: bool) -> None:
    made = [value for node in all_nodes(graph) for value in node.outputs]
    # But for the count and the condition of a Loop, which ONNX Runtime wants to see are single values.
    loops = [(body, node.op_type == "Loop") for node in all_nodes(graph) for body in bodies(node)]
    taken = [value for body, is_loop in loops for value in body.inputs[2 if is_loop else 0 :]]
    for value in dict.fromkeys((*graph.inputs, *taken, *made, *graph.outputs)):
        if value.shape is None or not (everywhere or value.meta.get(UNSURE)) or value.is_initializer():
            continue
        border = value in graph.inputs or value in graph.outputs
        value.shape = ir.Shape([None] * len(value.shape)) if border else None


class _Sides:
    """Which values of a graph are constants, where a value is made, and whether the device set is closed."""

    def __init__(self, graph: ir.Graph, device: frozenset[str], tensors: frozenset[str]) -> None:
        self.graph = graph
        self.device = device
        self.tensors = tensors
        self.constants = constants(graph)

    def check(self) -> None:
        """Raise unless every name exists and the device ops read only what the device has."""
        nodes = {str(node.name) for node in self.graph}
        values = {value.name for value in (*self.graph.inputs, *(value for node in self.graph for value in node.outputs))}
        for role, given, known in (("device node", self.device, nodes), ("tensor", self.tensors, values)):
            for name in sorted(given - known):
                raise CodegenError(f"the {role} {name!r} is not in the graph {self.graph.name}; was the model changed?")
        for node in self.graph:
            if node.name not in self.device:
                continue
            for base in self.bases(reads(node)):
                if not self.is_on_device(base):
                    raise UnsplittableError(
                        f"{node.name} is to run on the device but reads {base.name}, which is made on the server;"
                        f" move {_maker(base)} to the device or {node.name} to the server"
                    )

    def is_on_device(self, value: ir.Value) -> bool:
        """Tell whether a wire value exists on the device."""
        producer = value.producer()
        return producer is None or producer.name in self.device

    def is_device_made(self, result: ir.Value) -> bool:
        """Tell whether a model output, perhaps a view, comes from values of the device only (or from none at all)."""
        return all(self.is_on_device(base) for base in self.bases([result]))

    def is_base(self, value: ir.Value) -> bool:
        """Tell whether a value is where views end: an input, an op's result, or anything made by a device op."""
        return value.producer() is None or value.name in self.tensors or _maker(value) in self.device

    def bases(self, values: Iterable[ir.Value]) -> list[ir.Value]:
        """Return the inputs and op results that these values are, or are views of; constants have none."""
        return _reached(values, stop=self.is_base, skip=self.constants.__contains__)


def _crossing_values(sides: _Sides, on_server: Sequence[ir.Value]) -> list[ir.Value]:
    """Phase one: the values of the device that the server's results are computed from, in graph order."""

    def is_crossing(value: ir.Value) -> bool:
        return sides.is_on_device(value) and (value.producer() is None or value.name in sides.tensors)

    def refuse_device_op(value: ir.Value, reader: ir.Node | None) -> None:
        if _maker(value) in sides.device:
            raise UnsplittableError(
                f"{reader.name if reader else 'the model output'} on the server reads {value.name}, which is made on the"
                " device and cannot be sent; put both on the same side"
            )

    reached = _reached(on_server, stop=is_crossing, skip=sides.constants.__contains__, visit=refuse_device_op)
    made = [*sides.graph.inputs, *(value for node in sides.graph for value in node.outputs)]
    order = {value: position for position, value in enumerate(made)}
    return sorted(reached, key=order.__getitem__)


class _Needed:
    def __init__(self) -> None:
        self.nodes: set[ir.Node] = set()
        self.values: set[ir.Value] = set()


def _needed(results: Iterable[ir.Value], given: set[ir.Value]) -> _Needed:
    """Phase two: the nodes and values that `results` are computed from, when `given` values are given."""
    needed = _Needed()
    waiting = list(results)
    while waiting:
        value = waiting.pop()
        if value in needed.values or value in given:
            continue
        needed.values.add(value)
        producer = value.producer()
        if producer is not None and producer not in needed.nodes:
            needed.nodes.add(producer)
            waiting.extend(reads(producer))
    return needed


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


def _reached(
    values: Iterable[ir.Value],
    *,
    stop: Callable[[ir.Value], bool],
    skip: Callable[[ir.Value], bool],
    visit: Callable[[ir.Value, ir.Node | None], None] | None = None,
) -> list[ir.Value]:
    """Return the values at which a walk against the arrows stops, starting with `values` themselves."""
    found: dict[ir.Value, None] = {}
    seen: set[ir.Value] = set()
    waiting: list[tuple[ir.Value, ir.Node | None]] = [(value, None) for value in values]
    while waiting:
        value, reader = waiting.pop()
        if value in seen or skip(value):
            continue
        seen.add(value)
        if stop(value):
            found[value] = None
            continue
        if visit is not None:
            visit(value, reader)
        producer = value.producer()
        if producer is not None:
            waiting.extend((source, producer) for source in reads(producer))
    return list(found)


def _maker(value: ir.Value) -> str | None:
    producer = value.producer()
    return None if producer is None else producer.name
