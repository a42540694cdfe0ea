"""An op on its own, or a run of ops: the smallest module that computes it, and real values to feed it. Needs torch.

Members of an op are nodes of a traced module; the free views between and before them and the constants they read belong
to no op and are copied along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from cic.errors import CostError
from cic.trace.fx.observation import observe

if TYPE_CHECKING:
    from cic.trace.fx.traced_model import TracedModel


@dataclass(frozen=True, slots=True)
class OpModule:
    """module: takes the values of the nodes named by `inputs`, in that order, and returns a tuple of tensors."""

    module: fx.GraphModule
    inputs: tuple[str, ...]


def extract(traced: TracedModel, members: Iterable[str]) -> OpModule:
    """The module that computes `members` (node names of the traced module) from values made by other ops.

    Raises CostError when there are no members, or one is not a node of the traced module.
    """
    source = traced.module
    nodes = {node.name: node for node in source.graph.nodes}
    members = list(members)
    if not members:
        raise CostError("an op without members cannot be run on its own: trace the model again")
    if missing := [name for name in members if name not in nodes]:
        raise CostError(f"node {missing[0]!r} is a member of an op but not in the traced module: trace the model again")
    owned = {name for op in traced.graph.ops for name in op.members}
    inside, inputs = _closure([nodes[name] for name in members], owned)

    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {node: graph.placeholder(node.name) for node in inputs}
    for node in source.graph.nodes:
        if node in inside:
            copies[node] = graph.node_copy(node, lambda old: copies[old])
    read_outside = [nodes[name] for name in members if any(user not in inside for user in nodes[name].users)]
    graph.output(tuple(copies[node] for node in read_outside or [nodes[members[-1]]]))
    return OpModule(fx.GraphModule(source, graph).eval(), tuple(node.name for node in inputs))


def capture(traced: TracedModel, names: Collection[str]) -> Mapping[str, Any]:
    """The values of the nodes `names` in one run of the whole traced module on its example call, by node name."""
    values: dict[str, Any] = {}

    def see(node: fx.Node, value: Any) -> None:
        if node.name in names:
            values[node.name] = value

    observe(traced.module, traced.source.example_inputs, see)
    return values


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
    # An op that returns several tensors is read through its items: those are tensors, the tuple of them is not.
    return node.op == "get_attr" or isinstance(node.meta.get("val", torch.empty(0)), torch.Tensor)
