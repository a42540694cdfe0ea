"""Cuts a flat `torch.fx` graph in two, see `codegen.splitters.sides`.

The graph must be flat: placeholders are tensors, the output is one tuple of tensors, and no op changes a value that
another op may still read. A value is a node; one that picks a tensor out of the several an op returned is made by that op.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import fx

from codegen.dtypes import type_name
from codegen.errors import CodegenError, UnsplittableError
from codegen.split import LARGEST_TENSOR, Half, Split, WireTensor
from codegen.splitters.sides import ancestors, split_at


def split(module: fx.GraphModule, device_nodes: Collection[str], tensors: Collection[str]) -> Split:
    """Split `module` so that the ops `device_nodes` run in the head and all others in the tail; both are fx modules.

    Raises as `codegen.splitters.sides.split_at`, and UnsplittableError for an op that changes a value behind the graph's back.
    """
    for node in module.graph.nodes:
        _refuse_lost_effect(node)
    return split_at(_FxWiring(module), device_nodes, tensors)


def wire_tensor(node: fx.Node) -> WireTensor:
    """Return name, shape, dtype and contiguous size of the tensor a node stands for, from its traced metadata."""
    value = _traced_value(node)
    if value is None or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise UnsplittableError(
            f"{node.name} is not one plain tensor (its traced value is {type(value).__name__}), so it cannot be passed"
            " between device and server; keep the op that makes it and the ops that read it on one side"
        )
    shape = tuple(size for size in map(greatest_size, value.shape) if size is not None)
    if len(shape) != len(value.shape):
        raise CodegenError(f"{node.name} has the shape {tuple(value.shape)} without a limit; trace the model with fixed shapes")
    return WireTensor(
        name=node.name,
        shape=shape,
        dtype=type_name(value.dtype),
        bytes=torch.Size(shape).numel() * value.dtype.itemsize,
        open_axes=tuple(axis for axis, size in enumerate(value.shape) if not isinstance(size, int)),
    )


def greatest_size(size: Any) -> int | None:
    """Return the greatest value that a size can have which the data decides; None if no limit is known."""
    if isinstance(size, int):
        return size
    upper = size.node.shape_env.bound_sympy(size.node.expr).upper
    return int(upper) if upper.is_Integer and upper < LARGEST_TENSOR else None


class _FxWiring:
    """See `codegen.splitters.sides.Wiring`."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.module = module
        self.values = [node for node in module.graph.nodes if node.op != "output"]
        self.inputs = [node for node in self.values if node.op == "placeholder"]
        self.results = _flat_results(module.graph)
        self.nodes = {node.name for node in module.graph.nodes}
        self.constants: set[fx.Node] = set()
        for node in self.values:
            if node.op != "placeholder" and self.constants.issuperset(node.all_input_nodes):
                self.constants.add(node)

    def name(self, value: fx.Node) -> str:
        return value.name

    def maker(self, value: fx.Node) -> str | None:
        while _is_entry(value):
            value = value.all_input_nodes[0]
        return None if value.op == "placeholder" else value.name

    def reads(self, value: fx.Node) -> Sequence[fx.Node]:
        return value.all_input_nodes

    def wire(self, value: fx.Node) -> WireTensor:
        return wire_tensor(value)

    def part(self, inputs: Sequence[fx.Node], results: Sequence[fx.Node], half: Half) -> fx.GraphModule:
        return _clone(self.module, inputs, results, half.title())


def _clone(module: fx.GraphModule, inputs: Sequence[fx.Node], results: Sequence[fx.Node], name: str) -> fx.GraphModule:
    """Copy what `results` need, with `inputs` as placeholders; only the weights in use come along."""
    given = set(inputs)
    needed = ancestors(results, given, lambda node: node.all_input_nodes)
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


def _flat_results(graph: fx.Graph) -> list[fx.Node]:
    output = next(node for node in graph.nodes if node.op == "output")
    results = output.args[0]
    if isinstance(results, fx.Node):
        results = (results,)
    if not isinstance(results, tuple | list) or not all(isinstance(result, fx.Node) for result in results):
        raise CodegenError(f"the graph must return one flat tuple of tensors, but returns {results}")
    return list(results)


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
