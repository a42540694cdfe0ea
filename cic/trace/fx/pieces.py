"""Turns sets of nodes that must stay together into single nodes: `call_module` of a graph that runs them in order.

Whether `reshape` copies, and what `as_strided` reads, depends on the strides of a tensor, and a tensor that was sent
arrives contiguous, whatever it was. So a piece first gives its inputs the strides they had when the model was traced.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx

from cic.trace.fx.schema import base_name


@dataclass(frozen=True)
class Piece:
    """Nodes that must run on one side, in their original order."""

    nodes: frozenset[fx.Node]


def extract_pieces(module: fx.GraphModule, pieces: Sequence[Piece]) -> None:
    """Replace each piece by one `call_module` node, in place; pieces that overlap or form a cycle become one."""
    graph = module.graph
    if not pieces:
        return
    groups = _closed_groups([set(piece.nodes) for piece in pieces])
    group_of = {node: index for index, group in enumerate(groups) for node in group}
    order = {node: position for position, node in enumerate(graph.nodes)}
    made: dict[fx.Node, fx.Node] = {}
    fresh = fx.Graph()
    for unit in _sorted_units(list(graph.nodes), group_of, order):
        if isinstance(unit, int):
            inside = sorted(groups[unit], key=order.__getitem__)
            name = f"{'in_place' if len(inside) > 1 else base_name(inside[0])}_{unit}"
            _emit_piece(module, fresh, inside, name, made)
        elif unit.op == "output":
            fresh.output(fx.node.map_arg(unit.args[0], lambda node: made[node]))
        else:
            made[unit] = fresh.node_copy(unit, lambda node: made[node])
    module.graph = fresh


def _closed_groups(groups: list[set[fx.Node]]) -> list[set[fx.Node]]:
    """Unite groups that overlap and add every node on a path out of a group and back into it."""
    while True:
        groups = _disjoint(groups)
        group_of = {node: index for index, group in enumerate(groups) for node in group}
        for index, group in enumerate(groups):
            below = _reached(group_of, index, forward=True)
            above = _reached(group_of, index, forward=False)
            if between := (below & above) - group:
                group.update(between)
                break
        else:
            return groups


def _disjoint(groups: list[set[fx.Node]]) -> list[set[fx.Node]]:
    united: list[set[fx.Node]] = []
    for group in groups:
        overlapping = [other for other in united if other & group]
        united = [other for other in united if not other & group]
        united.append(group.union(*overlapping))
    return united


def _reached(group_of: dict[fx.Node, int], start: int, forward: bool) -> set[fx.Node]:
    """Return all nodes that can be reached from a group; entering another group reaches all of it."""
    members: dict[int, list[fx.Node]] = {}
    for node, index in group_of.items():
        members.setdefault(index, []).append(node)
    reached: set[fx.Node] = set()
    stack = list(members[start])
    while stack:
        node = stack.pop()
        for other in node.users if forward else node.all_input_nodes:
            if other in reached:
                continue
            together = members[group_of[other]] if other in group_of else [other]
            reached.update(together)
            stack += together
    return reached


def _sorted_units(nodes: list[fx.Node], group_of: dict[fx.Node, int], order: dict[fx.Node, int]) -> list[fx.Node | int]:
    """Return nodes and group numbers in an order in which each follows what it reads, else as before."""
    emitted: set[fx.Node | int] = set()
    members: dict[int, list[fx.Node]] = {}
    for node, index in group_of.items():
        members.setdefault(index, []).append(node)
    units: list[fx.Node | int] = []
    for node in nodes:
        stack: list[tuple[fx.Node | int, bool]] = [(group_of.get(node, node), False)]
        while stack:
            unit, ready = stack.pop()
            if unit in emitted:
                continue
            if ready:
                emitted.add(unit)
                units.append(unit)
                continue
            stack.append((unit, True))
            inside = members[unit] if isinstance(unit, int) else [unit]
            reads = {group_of.get(source, source) for member in inside for source in member.all_input_nodes}
            waiting = [read for read in reads if read != unit and read not in emitted]
            key = {read: order[members[read][0] if isinstance(read, int) else read] for read in waiting}
            stack += [(read, False) for read in sorted(waiting, key=key.__getitem__, reverse=True)]
    return units


def _emit_piece(
    module: fx.GraphModule, fresh: fx.Graph, inside: list[fx.Node], name: str, made: dict[fx.Node, fx.Node]
) -> None:
    """Add the module `name` that runs the nodes `inside`, and its call; `made` maps old nodes to those of `fresh`."""
    members = set(inside)
    leaving = [node for node in inside if any(user not in members for user in node.users)]
    if not leaving:
        return
    outside = list(dict.fromkeys(source for node in inside for source in node.all_input_nodes if source not in members))
    graphs = [source for source in outside if isinstance(source.meta.get("val"), fx.GraphModule)]
    passed = [source for source in outside if source not in graphs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights come as arguments, so the piece has no attributes fx could know
        attributes = {str(source.target): source.meta["val"] for source in graphs}
        piece = fx.GraphModule(attributes, _piece_graph(inside, graphs, passed, leaving))
    piece.eval()
    module.add_submodule(name, piece)
    call = fresh.call_module(name, tuple(made[source] for source in passed))
    call.meta = {key: value for key, value in leaving[0].meta.items() if key in ("nn_module_stack", "stack_trace")}
    for position, node in enumerate(leaving):
        made[node] = call if len(leaving) == 1 else fresh.call_function(operator.getitem, (call, position))


def _piece_graph(inside: list[fx.Node], graphs: list[fx.Node], passed: list[fx.Node], leaving: list[fx.Node]) -> fx.Graph:
    graph = fx.Graph()
    copies = {source: graph.node_copy(source) for source in graphs}
    for source in passed:
        copies[source] = graph.placeholder(source.name)
        copies[source].meta = dict(source.meta)
    for source in passed:
        if source.op != "get_attr":  # a weight is never sent
            copies[source] = _with_traced_strides(graph, copies[source])
    for node in inside:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[leaving[0]] if len(leaving) == 1 else tuple(copies[node] for node in leaving))
    return graph


def _with_traced_strides(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """Return a node equal to `node` with the strides of its traced value, without a copy if both are contiguous."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or not is_dense(value):
        return node
    if value.is_contiguous():
        restored = graph.call_function(torch.ops.aten.contiguous.default, (node,))
    else:
        places = (node, list(value.shape), list(value.stride()))
        empty = graph.call_function(torch.ops.aten.new_empty_strided.default, places)
        restored = graph.call_function(torch.ops.aten.copy_.default, (empty, node))
    restored.meta = dict(node.meta)
    return restored


def is_dense(value: torch.Tensor) -> bool:
    """Tell whether a tensor fills its memory without gaps and without overlap, in whatever order."""
    if not all(isinstance(size, int) for size in value.shape):
        return False
    expected = 1
    for stride, size in sorted(zip(value.stride(), value.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size if size != 1 else 1
    return True
