"""An op on its own: the smallest module that computes it, and real values to feed it.

Needs torch. Members of an op are nodes of a traced module; the free views between and before them and the constants
they read belong to no op and are copied along.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from cic.errors import CostError

if TYPE_CHECKING:
    from cic.trace import TracedModel


@dataclass(frozen=True, slots=True)
class OpModule:
    """module: takes the values of the nodes named by `inputs`, in that order, and returns a tuple of tensors."""

    module: fx.GraphModule
    inputs: tuple[str, ...]


def extract(traced: TracedModel, members: Iterable[str]) -> OpModule:
    """The module that computes `members` (node names of the traced module) from values made by other ops.

    Raises CostError when a member is not a node of the traced module.
    """
    source = traced.module
    nodes = {node.name: node for node in source.graph.nodes}
    members = list(members)
    if missing := [name for name in members if name not in nodes]:
        raise CostError(f"node {missing[0]!r} is a member of an op but not in the traced module: trace the model again")
    owned = {name for op in traced.graph.ops for name in op.members}
    inside, inputs = _closure([nodes[name] for name in members], owned)

    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {node: graph.placeholder(node.name) for node in inputs}
    for node in source.graph.nodes:
        if node in inside:
            copies[node] = graph.node_copy(node, lambda old: copies[old])
            if node.args and node.args[0] in inputs:
                _make_functional(copies[node])
    read_outside = [nodes[name] for name in members if any(user not in inside for user in nodes[name].users)]
    results = [copies[node] for node in read_outside or [nodes[members[-1]]]]
    graph.output(tuple(results))
    module = fx.GraphModule(source, graph).eval()
    return OpModule(module, tuple(node.name for node in inputs))


def capture(traced: TracedModel, names: Collection[str]) -> Mapping[str, Any]:
    """The values of the nodes `names` in one run of the whole traced module on its own arguments, by node name."""
    values: dict[str, Any] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if n.name in names:
                # A later node may change the value in place.
                values[n.name] = pytree.tree_map_only(torch.Tensor, torch.clone, result)
            return result

    with torch.no_grad():
        Recorder(traced.module).run(*flat_arguments(traced), enable_io_processing=False)
    return values


def flat_arguments(traced: TracedModel) -> list[Any]:
    """The arguments of the traced model in the order of its module's placeholders."""
    args, kwargs = traced.args, dict(traced.kwargs)
    layout = getattr(traced.module.graph._codegen, "pytree_info", None)
    if layout is None or layout.in_spec is None:
        bound = inspect.signature(traced.module.forward).bind(*args, **kwargs)
        bound.apply_defaults()
        return list(bound.arguments.values())
    # Unflattening the leaf numbers shows in which order the module wants the keyword arguments.
    numbers = list(range(layout.in_spec.num_leaves))
    _, order = pytree.tree_unflatten(numbers, layout.in_spec)
    return pytree.tree_leaves((tuple(args), {key: kwargs[key] for key in order}))


def _closure(members: list[fx.Node], owned: set[str]) -> tuple[set[fx.Node], list[fx.Node]]:
    """Members with the free nodes they read through, and the nodes whose values must be given."""
    inside = set(members)
    inputs: dict[fx.Node, None] = {}
    pending = list(members)
    while pending:
        for node in pending.pop().all_input_nodes:
            if node in inside or node in inputs:
                continue
            if _is_free(node, owned) and all(_carries_tensor(source) for source in node.all_input_nodes):
                inside.add(node)
                pending.append(node)
            else:
                inputs[node] = None
    return inside, list(inputs)


def _is_free(node: fx.Node, owned: set[str]) -> bool:
    return node.op != "placeholder" and node.name not in owned


def _carries_tensor(node: fx.Node) -> bool:
    # An op that returns a tuple is read through its items: those are tensors, the tuple is not.
    return node.op == "get_attr" or isinstance(node.meta.get("val", torch.empty(0)), torch.Tensor)


def _make_functional(node: fx.Node) -> None:
    """Turn an in-place node into its plain twin: repeated runs must not change their own input."""
    name = getattr(getattr(node.target, "_schema", None), "name", "")
    if not name.startswith("aten::") or not name.endswith("_") or name.endswith("__"):
        return
    packet = getattr(torch.ops.aten, name[len("aten::") : -1], None)
    overload = getattr(packet, node.target._overloadname, None)  # type: ignore[union-attr]
    if overload is not None:
        node.target = overload
