"""Copies what a front end captured into a graph of our own: named inputs, weights once, no guards, a flat tuple out."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from cic.errors import TraceError

_KEPT_META = ("nn_module_stack", "stack_trace", "val")
_ASSERTIONS = ("_assert", "sym_constrain", "_guards_fn")


def flatten(
    captured: fx.GraphModule,
    names: Sequence[str],
    inner: str,
    inputs: Sequence[fx.Node] | None = None,
    constants: Mapping[fx.Node, Any] | None = None,
    results: Sequence[fx.Node] | None = None,
) -> fx.GraphModule:
    """Return a copy of `captured` whose placeholders are `inputs` in that order, called `names`.

    inner: module path that is cut off the names of weights and modules.
    constants: placeholders that stand for constants, with their values; results: what to return, default the output's
    own tensors. Weights share their storage with the model's; they need no gradient.
    """
    if inputs is None:
        inputs = [node for node in captured.graph.nodes if node.op == "placeholder"]
    if results is None:
        results = list(next(node for node in captured.graph.nodes if node.op == "output").args[0])
    if len(inputs) != len(names):
        raise TraceError(f"the traced graph has {len(inputs)} inputs, but the example has {len(names)} tensors")
    graph, weights = fx.Graph(), {}
    copies: dict[fx.Node, Any] = dict(constants or {})
    for node, name in zip(inputs, names, strict=True):
        copies[node] = graph.placeholder(name)
        copies[node].meta = _kept_meta(node, inner)
    by_target: dict[str, fx.Node] = {}
    for node in captured.graph.nodes:
        if node.op == "get_attr":
            target = _without(inner, node.meta.get("path", node.target))
            if target not in by_target:
                weights[target] = _constant(captured, node)
                by_target[target] = graph.get_attr(target)
                by_target[target].meta = {"val": weights[target]}
            copies[node] = by_target[target]
        elif node.op == "call_function" and not _is_assertion(node):
            copies[node] = graph.node_copy(node, lambda argument: copies[argument])
            copies[node].meta = _kept_meta(node, inner)
        elif node.op == "call_module" and not _is_assertion(node):
            raise TraceError(f"the traced graph calls the module {node.target}, which has not been flattened")
    graph.output(tuple(copies[node] for node in results))
    hoist_getitems(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a weight that is neither parameter nor buffer is meant to be there
        module = fx.GraphModule(weights, graph)
    module.eval()
    return module


def hoist_getitems(graph: fx.Graph) -> None:
    """Move each `getitem` right behind the op whose result it takes, and keep one for each index."""
    for node in list(graph.nodes):
        taken: dict[Any, fx.Node] = {}
        for user in list(node.users):
            if user.op != "call_function" or user.target is not operator.getitem or user.args[0] is not node:
                continue
            index = user.args[1]
            if index in taken:
                user.replace_all_uses_with(taken[index])
                graph.erase_node(user)
            else:
                taken[index] = user
        for index in sorted(taken, reverse=True):
            node.append(taken[index])


def _constant(captured: fx.GraphModule, node: fx.Node) -> Any:
    value = node.meta.get("tensor")
    if value is None:
        value = captured
        for step in node.target.split("."):
            value = getattr(value, step)
    if isinstance(value, nn.Parameter):
        return nn.Parameter(value.detach(), requires_grad=False)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _without(inner: str, path: str) -> str:
    return path.removeprefix(f"{inner}.") if inner else path


def _kept_meta(node: fx.Node, inner: str) -> dict[str, Any]:
    meta = {key: node.meta[key] for key in _KEPT_META if key in node.meta}
    stack = meta.get("nn_module_stack")
    if stack:
        meta["nn_module_stack"] = {
            key: ("" if path in ("", inner) else _without(inner, path), kind) for key, (path, kind) in stack.items()
        }
    return meta


def _is_assertion(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.startswith(_ASSERTIONS) and not node.users
