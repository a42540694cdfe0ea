"""Makes a flat graph safe to cut: afterwards no node changes a value that another node can see.

A tensor that crosses a cut is a copy, so a write on one side would go unnoticed on the other: silently wrong. There are
two ways out, tried in this order for each write:

* *Out of place.* If no other alias of the written value is read later, `add_` becomes `add` and all later readers of
  the written tensor read the new one.
* *In one piece.* Else everything that touches the value, from the op that makes it to the last write, becomes one node: a
  `call_module` of a small graph that runs in the original order. What is read afterwards leaves it as a copy. Nodes on a
  path from the piece back into it join it, so the graph stays acyclic.

Writes to model inputs, parameters and buffers would be lost or seen by the caller; they are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import fx

from cic.errors import TraceError
from cic.trace.fx.constants import bake_shapes, dependent_nodes
from cic.trace.fx.failure import last_user_line
from cic.trace.fx.pieces import Piece, extract_pieces
from cic.trace.fx.propagation import propagate, storages
from cic.trace.fx.schema import base_name, draws_random_numbers, kind_of, out_of_place, reshapes_in_place, written
from codegen.splitters.fx import greatest_size


def refuse_outside_effects(graph: fx.Graph) -> None:
    """Raise TraceError if a node writes to an input or a weight, or draws random numbers. Needs `meta["val"]`."""
    owners: dict[int, fx.Node] = {}
    for node in graph.nodes:
        if node.op in ("placeholder", "get_attr"):
            owners.update(dict.fromkeys(storages(node.meta.get("val")), node))
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        where = f"{kind_of(node)} at {last_user_line(node.meta.get('stack_trace', '')) or node.name}"
        if draws_random_numbers(node):
            raise TraceError(
                f"{where} draws random numbers, so two runs of the model differ and a split cannot be compared with the"
                " whole; put the model in eval mode or make the noise an input"
            )
        for value in written(node):
            for owner in {owners[key] for key in storages(value.meta.get("val")) if key in owners}:
                if str(owner.target).startswith("_tensor_constant"):
                    raise TraceError(
                        f"{where} changes in place a tensor that tracing lost sight of (reached through .data, say); write to"
                        " the tensor itself, or use the out-of-place op"
                    )
                what = "model input" if owner.op == "placeholder" else "parameter or buffer"
                raise TraceError(
                    f"{where} changes the {what} {str(owner.target)!r} in place; a split model can neither keep nor return"
                    " such a change, so work on a copy (.clone()), use the out-of-place op or inplace=False"
                )


def refuse_sizes_from_data(graph: fx.Graph) -> None:
    """Raise TraceError if the model returns a tensor whose size the data decides without limit: no cut could describe it."""
    for node in next(node for node in graph.nodes if node.op == "output").all_input_nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and any(greatest_size(size) is None for size in value.shape):
            where = last_user_line(node.meta.get("stack_trace", "")) or node.name
            raise TraceError(
                f"{kind_of(node)} at {where} gives an output whose size depends on the data and has no known limit,"
                f" {tuple(value.shape)}; limit it (keep[:100]), return a padded tensor with a mask, or move this step out of"
                " the model"
            )


def make_functional(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> None:
    """Remove every write from `module`, in place, keeping what it computes. Needs current `meta["val"]`.

    Raises TraceError naming the op for a write that cannot be expressed.
    """
    graph = module.graph
    pieces: list[Piece] = []
    for aliases in _written_families(graph):
        pieces += _Family(graph, aliases).repair()
    _repoint_reshapes(graph)
    dependent = dependent_nodes(graph)
    pieces += [Piece(frozenset([node])) for node in graph.nodes if base_name(node) == "as_strided" and node in dependent]
    extract_pieces(module, pieces)
    graph = module.graph  # another one, if there were pieces
    bake_shapes(module)
    graph.eliminate_dead_code()
    _allow_any_strides(graph)
    graph.lint()
    module.recompile()
    propagate(module, tensors)


def _allow_any_strides(graph: fx.Graph) -> None:
    """Turn `view` into `reshape`: a value that was sent is contiguous, though the model's own may not have been.

    A view as another type becomes a copy: TorchScript cannot trace the view. It is made of a contiguous tensor, as is a view
    as complex numbers, for neither can be had of any strides.
    """
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
        elif node.target is torch.ops.aten.view.dtype:
            node.target = torch.ops.aten.view_copy.dtype
            _make_contiguous(graph, node)
        elif node.target is torch.ops.aten.view_as_complex.default:
            _make_contiguous(graph, node)


def _make_contiguous(graph: fx.Graph, node: fx.Node) -> None:
    source = node.all_input_nodes[0]
    with graph.inserting_before(node):
        packed = graph.call_function(torch.ops.aten.contiguous.default, (source,))
    packed.meta = dict(source.meta)
    node.replace_input_with(source, packed)


def _written_families(graph: fx.Graph) -> list[list[fx.Node]]:
    """Return, for each storage that is written, the nodes that share it, in order; families that overlap are one."""
    members: dict[int, list[fx.Node]] = {}
    touched: set[int] = set()
    for node in graph.nodes:
        for key in storages(node.meta.get("val")):
            members.setdefault(key, []).append(node)
        for value in written(node):
            touched |= storages(value.meta.get("val"))
    families = [set(members[key]) for key in touched]
    order = {node: position for position, node in enumerate(graph.nodes)}
    merged: list[set[fx.Node]] = []
    for family in families:
        overlapping = [other for other in merged if other & family]
        merged = [other for other in merged if not other & family]
        merged.append(family.union(*overlapping))
    ordered = [sorted(family, key=order.__getitem__) for family in merged]
    return sorted(ordered, key=lambda family: order[family[0]])


class _Family:
    """The nodes that share one storage, being repaired write by write in program order."""

    def __init__(self, graph: fx.Graph, aliases: list[fx.Node]) -> None:
        self.graph = graph
        self.aliases = aliases  # those since the last repair, the nodes to come included
        self.last_write: fx.Node | None = None  # end of the piece that is growing

    def repair(self) -> list[Piece]:
        pieces: list[Piece] = []
        family = set(self.aliases)
        writes = [node for node in self.graph.nodes if set(written(node)) & family]
        for write in writes:
            if not self._is_lone(write):
                self.last_write = write
                continue
            pieces += self._close_piece()
            result = self._rewrite(write)
            order = _order(self.graph)
            self.aliases = [result, *(node for node in self.aliases if node is not write and order[node] > order[result])]
        return pieces + self._close_piece()

    def _is_lone(self, write: fx.Node) -> bool:
        """Tell whether nobody reads another alias of the written value after the write."""
        targets = written(write)
        if len(targets) != 1 or out_of_place(write) is None or isinstance(write.meta["val"], list):
            return False
        order = _order(self.graph)
        same = _same_object(targets[0], self.aliases)
        others = [node for node in self.aliases if order[node] < order[write] and node not in same]
        return not any(order[user] > order[write] for node in others for user in node.users)

    def _rewrite(self, write: fx.Node) -> fx.Node:
        order = _order(self.graph)
        target = written(write)[0]
        with self.graph.inserting_before(write):
            result = self.graph.create_node(
                "call_function", out_of_place(write), write.args, write.kwargs, name=base_name(write)
            )
        result.meta = dict(write.meta)
        last = result
        before, after = target.meta["val"], _functional_value(result)
        if isinstance(after, torch.Tensor) and after.dtype != before.dtype:
            with self.graph.inserting_after(result):  # a write keeps the type of what it writes to
                last = self.graph.call_function(torch.ops.aten.to.dtype, (result, before.dtype))
            last.meta = dict(write.meta)
        write.replace_all_uses_with(last, delete_user_cb=lambda user: user not in (result, last))
        earlier = [node for node in self.aliases if order[node] < order[write]]
        for node in {target, *_same_object(target, earlier)}:
            for user in [user for user in node.users if user in order and order[user] > order[write]]:
                user.replace_input_with(node, last)
        self.graph.erase_node(write)
        return last

    def _close_piece(self) -> list[Piece]:
        """End the growing piece at its last write: what is read later becomes a copy made there."""
        if self.last_write is None:
            return []
        order = _order(self.graph)
        end = order[self.last_write]
        inside = [node for node in self.aliases if order[node] <= end]
        copies: list[fx.Node] = []
        for node in inside:
            late = [user for user in node.users if order.get(user, -1) > end and user not in copies]
            if late:
                with self.graph.inserting_after(copies[-1] if copies else self.last_write):
                    copy = self.graph.call_function(torch.ops.aten.clone.default, (node,))
                copy.meta = dict(node.meta)
                copies.append(copy)
                for user in late:
                    user.replace_input_with(node, copy)
        readers = [user for node in inside for user in node.users if user in order and order[user] <= end]
        writers = [node for node in self.graph.nodes if set(written(node)) & set(inside)]
        self.last_write = None
        return [Piece(frozenset([*inside, *copies, *readers, *writers]))]


def _order(graph: fx.Graph) -> dict[fx.Node, int]:
    return {node: position for position, node in enumerate(graph.nodes)}


def _same_object(node: fx.Node, among: Iterable[fx.Node]) -> list[fx.Node]:
    """Return the nodes that stand for the very tensor object `node` stands for (a write returns its argument)."""
    identity = node.meta.get("object")
    return [other for other in among if other is node or (identity is not None and other.meta.get("object") == identity)]


def _functional_value(node: fx.Node) -> Any:
    """Return what the rewritten node gives, on fake values; None if that cannot be told."""
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: source.meta.get("val"))
    mode = next((v.fake_mode for v in torch.utils._pytree.tree_leaves((args, kwargs)) if hasattr(v, "fake_mode")), None)
    target: Any = node.target
    try:
        with mode or nullcontext(), torch.no_grad():
            return target(*args, **kwargs)
    except Exception:  # an operator may raise anything on fake values  # noqa: BLE001
        return None


def _repoint_reshapes(graph: fx.Graph) -> None:
    """Turn `unsqueeze_` and its kin into `unsqueeze`, read by all later readers of the tensor object."""
    for node in list(graph.nodes):
        if node.op != "call_function" or not reshapes_in_place(node):
            continue
        variant = out_of_place(node)
        if variant is None:
            where = last_user_line(node.meta.get("stack_trace", "")) or node.name
            raise TraceError(f"{kind_of(node)} at {where} changes a tensor in a way that cannot be split; use a copy")
        order, source = _order(graph), node.args[0]
        for alias in _same_object(source, [n for n in graph.nodes if order[n] < order[node]]):
            for user in [user for user in alias.users if order[user] > order[node]]:
                user.replace_input_with(alias, node)
        node.target = variant
