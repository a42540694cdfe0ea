"""What a half returns is the caller's: never a weight or a constant of the half, which a later call would read again.

A model makes positions, anchors or a grid anew at each call. A half has them as constants, whether they were folded while
tracing or by the runtime, and would hand out the very tensor it keeps: one `*=` of the caller, and every later answer, of all
cuts that share the weight, is another. So constants that reach a result by views are copied first. Views are then taken of
the copy, so results that share memory with each other still do.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import fx

from codegen.formats.memory_sharing import Sharing

_aten = torch.ops.aten


def give_own_answers(half: fx.GraphModule, sharing: Sharing, *, folds: bool) -> None:
    """Let no result of a half be a constant of it, or a view of one; in place.

    folds: whether the runtime computes constants in advance, so that they are constants as weights are. A plain copy it would
        compute in advance, too; it leaves alone what is written to, so the copy is written into memory made at each call.
    """
    graph = half.graph
    constants = _constants(graph)
    for root in _roots(graph, sharing):
        if root not in constants or not (folds or root.op == "get_attr"):
            continue
        views = [user for user in root.users if user.op == "output" or root in sharing.sources.get(user, ())]
        with graph.inserting_after(root):
            copy = graph.call_function(_aten.empty_like.default if folds else _aten.clone.default, (root,))
        if folds:
            with graph.inserting_after(copy):
                copy = graph.call_function(_aten.copy_.default, (copy, root))
        copy.meta = dict(root.meta)
        for user in views:  # whatever computes with the constant goes on to read it
            user.replace_input_with(root, copy)
    half.recompile()


def _constants(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that depend on no input."""
    constants: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and constants.issuperset(node.all_input_nodes):
            constants.add(node)
    return constants


def _roots(graph: fx.Graph, sharing: Sharing) -> Iterable[fx.Node]:
    """Return the nodes whose memory the results have: the ends of walks along views."""
    waiting = list(next(node for node in graph.nodes if node.op == "output").all_input_nodes)
    seen: dict[fx.Node, None] = {}
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen[node] = None
            waiting.extend(sharing.sources.get(node, ()))
    return [node for node in seen if not sharing.sources.get(node, ())]
