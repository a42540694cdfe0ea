"""Cuts a flat `torch.fx` graph in two: what crosses → clone each half → stitch the outputs.

The graph must be flat: placeholders are tensors, the output is one tuple of tensors, and no op changes a value that
another op may still read. Nodes are of four sorts, told apart by two sets of names:

* *constants* depend on no input: weights, `arange`, `full`. Every half that needs one has it.
* *device ops* are the members of `device_nodes`.
* *wire values* are the members of `tensors`: the inputs and the results of ops. Only these may cross.
* whatever else lies behind a wire value is a *free view* of it, or the inside of an op on the server. A half that needs
  it computes it, so what crosses for a view is its base, and a view read on both sides exists on both.

A half is what its results need and nothing more, so weights go where they are used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Sequence

import torch
from torch import fx

from codegen.dtypes import type_name
from codegen.errors import CodegenError, UnsplittableError
from codegen.split import OutputSource, Split, WireTensor


def split(module: fx.GraphModule, device_nodes: Collection[str], tensors: Collection[str]) -> Split:
    """Split `module` so that the ops `device_nodes` run in the head and all others in the tail.

    Raises UnsplittableError if an op on the device reads a value made on the server, or if an op on the server reads a
    value made on the device that is not among `tensors`; CodegenError if a name is not in the graph.
    """
    sides = _Sides(module.graph, frozenset(device_nodes), frozenset(tensors))
    sides.check()
    results = _flat_results(module.graph)
    on_device = [result for result in results if sides.is_device_made(result)]
    on_server = [result for result in results if not sides.is_device_made(result)]

    crossing = _crossing_nodes(sides, on_server)
    kept = [node for node in _unique(on_device) if node not in set(crossing)]
    returned = _unique(on_server)

    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    head = _clone(module, inputs, [*crossing, *kept], "Head")
    tail = _clone(module, crossing, returned, "Tail")
    return Split(
        head=head,
        tail=tail,
        inputs=tuple(wire_tensor(node) for node in inputs),
        crossing=tuple(wire_tensor(node) for node in crossing),
        kept=tuple(wire_tensor(node) for node in kept),
        returned=tuple(wire_tensor(node) for node in returned),
        outputs=_output_sources(results, [*crossing, *kept], returned, sides),
    )


def wire_tensor(node: fx.Node) -> WireTensor:
    """Return name, shape, dtype and contiguous size of the tensor a node stands for, from its traced metadata."""
    value = _traced_value(node)
    if value is None or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise UnsplittableError(
            f"{node.name} is not one plain tensor (its traced value is {type(value).__name__}), so it cannot be passed"
            " between device and server; keep the op that makes it and the ops that read it on one side"
        )
    shape = tuple(value.shape)
    if not all(isinstance(size, int) for size in shape):
        raise CodegenError(f"{node.name} has the symbolic shape {shape}; trace the model with fixed shapes")
    return WireTensor(
        name=node.name,
        shape=shape,
        dtype=type_name(value.dtype),
        bytes=torch.Size(shape).numel() * value.dtype.itemsize,
    )


class _Sides:
    """Which nodes of a graph are constants, where a value is made, and whether the device set is closed."""

    def __init__(self, graph: fx.Graph, device: frozenset[str], tensors: frozenset[str]) -> None:
        self.graph = graph
        self.device = device
        self.tensors = tensors
        self.constants: set[fx.Node] = set()
        for node in graph.nodes:
            if node.op not in ("placeholder", "output") and self.constants.issuperset(node.all_input_nodes):
                self.constants.add(node)

    def check(self) -> None:
        """Raise unless every name exists and the device ops read only what the device has."""
        names = {node.name for node in self.graph.nodes}
        for role, given in (("device node", self.device), ("tensor", self.tensors)):
            for name in sorted(given - names):
                raise CodegenError(f"the {role} {name!r} is not a node of the graph; was the model traced again?")
        for node in self.graph.nodes:
            _refuse_lost_effect(node)
            if node.name not in self.device:
                continue
            for base in self.bases(node.all_input_nodes):
                if not self.is_on_device(base):
                    raise UnsplittableError(
                        f"{node.name} is to run on the device but reads {base.name}, which is made on the server;"
                        f" move {base.name} to the device or {node.name} to the server"
                    )

    def is_on_device(self, node: fx.Node) -> bool:
        """Tell whether a wire value, or an entry of a tuple an op returned, exists on the device."""
        if node.op == "placeholder" or node.name in self.device:
            return True
        return _is_entry(node) and self.is_on_device(node.all_input_nodes[0])

    def is_device_made(self, result: fx.Node) -> bool:
        """Tell whether a model output, perhaps a view, comes from values of the device only (or from none at all)."""
        return all(self.is_on_device(base) for base in self.bases([result]))

    def is_base(self, node: fx.Node) -> bool:
        """Tell whether a node is where views end: an input, an op's result, or anything made by a device op."""
        return node.op == "placeholder" or node.name in self.tensors or node.name in self.device

    def bases(self, nodes: Iterable[fx.Node]) -> list[fx.Node]:
        """Return the inputs and op results that these nodes are, or are views of; constants have none."""
        return _reached(nodes, stop=self.is_base, skip=self.constants.__contains__)


def _crossing_nodes(sides: _Sides, on_server: Sequence[fx.Node]) -> list[fx.Node]:
    """Phase one: the values of the device that the server's results are computed from, in graph order."""

    def is_crossing(node: fx.Node) -> bool:
        return sides.is_on_device(node) and (node.op == "placeholder" or node.name in sides.tensors)

    reached = _reached(on_server, stop=is_crossing, skip=sides.constants.__contains__, visit=_refuse_device_op(sides))
    order = {node: position for position, node in enumerate(sides.graph.nodes)}
    return sorted(reached, key=order.__getitem__)


def _refuse_device_op(sides: _Sides) -> Callable[[fx.Node, fx.Node | None], None]:
    def refuse(node: fx.Node, reader: fx.Node | None) -> None:
        if node.name in sides.device:
            raise UnsplittableError(
                f"{reader.name if reader else 'the model output'} on the server reads {node.name}, which is made on the"
                " device and cannot be sent; put both on the same side"
            )

    return refuse


def _clone(module: fx.GraphModule, inputs: Sequence[fx.Node], results: Sequence[fx.Node], name: str) -> fx.GraphModule:
    """Phase two: copy what `results` need, with `inputs` as placeholders; only the weights in use come along."""
    given = set(inputs)
    needed = _ancestors(results, given)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in inputs:
        copies[node] = graph.placeholder(node.name)
        copies[node].meta = dict(node.meta)
    for node in module.graph.nodes:
        if node in needed and node not in given:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in results))
    graph.lint()
    half = fx.GraphModule(module, graph, class_name=name)
    for part in half.modules():
        part.training = False  # eval() is refused by modules that come from torch.export
    return half


def _output_sources(
    results: Sequence[fx.Node], head: Sequence[fx.Node], tail: Sequence[fx.Node], sides: _Sides
) -> tuple[OutputSource, ...]:
    """Phase three: where each of the model's outputs is found among the results of the halves."""
    return tuple(
        OutputSource("head", head.index(result)) if sides.is_device_made(result) else OutputSource("tail", tail.index(result))
        for result in results
    )


def _flat_results(graph: fx.Graph) -> list[fx.Node]:
    output = next(node for node in graph.nodes if node.op == "output")
    results = output.args[0]
    if isinstance(results, fx.Node):
        results = (results,)
    if not isinstance(results, tuple | list) or not all(isinstance(result, fx.Node) for result in results):
        raise CodegenError(f"the graph must return one flat tuple of tensors, but returns {results}")
    return list(results)


def _reached(
    nodes: Iterable[fx.Node],
    *,
    stop: Callable[[fx.Node], bool],
    skip: Callable[[fx.Node], bool],
    visit: Callable[[fx.Node, fx.Node | None], None] | None = None,
) -> list[fx.Node]:
    """Return the nodes at which a walk against the arrows stops, starting with `nodes` themselves.

    `visit` sees each node passed on the way and the node that reads it.
    """
    found: dict[fx.Node, None] = {}
    seen: set[fx.Node] = set()
    waiting: list[tuple[fx.Node, fx.Node | None]] = [(node, None) for node in nodes]
    while waiting:
        node, reader = waiting.pop()
        if node in seen or skip(node):
            continue
        seen.add(node)
        if stop(node):
            found[node] = None
            continue
        if visit is not None:
            visit(node, reader)
        waiting.extend((source, node) for source in node.all_input_nodes)
    return list(found)


def _ancestors(results: Iterable[fx.Node], given: set[fx.Node]) -> set[fx.Node]:
    needed: set[fx.Node] = set()
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            if node not in given:
                waiting.extend(node.all_input_nodes)
    return needed


def _is_entry(node: fx.Node) -> bool:
    """Tell whether a node picks one tensor out of the several an op returned (indexing a tensor is an op)."""
    if node.op != "call_function" or node.target is not operator.getitem:
        return False
    return isinstance(_traced_value(node.all_input_nodes[0]), tuple | list)


def _traced_value(node: fx.Node) -> object:
    return node.meta.get("val", node.meta.get("tensor_meta"))


def _refuse_lost_effect(node: fx.Node) -> None:
    """An in-place op nobody reads changes a value behind the graph's back; a half would silently leave it out."""
    schema = getattr(node.target, "_schema", None)
    if schema is not None and schema.is_mutable and not node.users:
        changed = node.all_input_nodes[0].name if node.all_input_nodes else "a value"
        raise UnsplittableError(
            f"{node.name} changes {changed} in place and its result is not read, so the graph is not safe to cut;"
            " make it functional first"
        )


def _unique(nodes: Iterable[fx.Node]) -> list[fx.Node]:
    return list(dict.fromkeys(nodes))
