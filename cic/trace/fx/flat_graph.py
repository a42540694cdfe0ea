"""Copies what a front end captured into a graph of our own: named inputs, weights once, no guards, a flat tuple out.

Export wraps code under `torch.enable_grad` or a disabled `torch.autocast` in an operator that calls a graph of its own;
neither changes a result here, so those graphs are inlined.
"""

from __future__ import annotations

import keyword
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from cic.errors import TraceError

_KEPT_META = ("nn_module_stack", "stack_trace", "val")
_MEANINGFUL = frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))
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
        results = list(_output_of(captured.graph))
    if len(inputs) != len(names):
        raise TraceError(f"the traced graph has {len(inputs)} inputs, but the example has {len(names)} tensors")
    copying = _Copying(inner)
    copies: dict[fx.Node, Any] = dict(constants or {})
    for node, name in zip(inputs, names, strict=True):
        copies[node] = copying.graph.placeholder(name)
        copies[node].meta = copying.kept_meta(node)
    copying.copy(captured, "", copies)
    copying.graph.output(tuple(copies[node] for node in results))
    copying.drop_unread()
    hoist_getitems(copying.graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a weight that is neither parameter nor buffer is meant to be there
        module = fx.GraphModule(copying.weights, copying.graph)
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


class _Copying:
    """The graph being built, and the weights it reads."""

    def __init__(self, inner: str) -> None:
        self.inner = inner
        self.graph = fx.Graph()
        self.weights: dict[str, Any] = {}
        self.readers: dict[tuple[str, ...], fx.Node] = {}

    def copy(self, source: fx.GraphModule, path: str, copies: dict[fx.Node, Any]) -> None:
        """Copy the nodes of `source`, the module at `path`; `copies` holds its inputs and takes what is copied."""
        for node in source.graph.nodes:
            if node.op == "get_attr":
                copies[node] = self._weight(source, path, node)
            elif node.op not in ("call_function", "call_module") or _is_assertion(node):
                continue
            elif node.op == "call_module":
                raise TraceError(f"the traced graph calls the module {node.target}, which has not been flattened")
            elif (wrapped := _harmless_wrapping(node)) is not None:
                self._inline(source, path, node, wrapped, copies)
            elif node.target is operator.getitem and isinstance(copies[node.args[0]], tuple):
                copies[node] = copies[node.args[0]][node.args[1]]
            elif takes_inner_tensor(node):
                copies[node] = self._inner_tensor(copies[node.args[0]], str(node.args[1]))
            else:
                copies[node] = self.graph.node_copy(node, copies.__getitem__)
                copies[node].meta = self.kept_meta(node)

    def kept_meta(self, node: fx.Node) -> dict[str, Any]:
        meta = {key: node.meta[key] for key in _KEPT_META if key in node.meta}
        stack = meta.get("nn_module_stack")
        if stack:
            meta["nn_module_stack"] = {
                key: ("" if path == self.inner else self._without_inner(path), kind) for key, (path, kind) in stack.items()
            }
        return meta

    def drop_unread(self) -> None:
        """Remove weights that no node reads, such as those of which only the inner tensors are."""
        for node in list(self.graph.nodes):
            if node.op == "get_attr" and not node.users:
                self.graph.erase_node(node)
                del self.weights[str(node.target)]

    def _weight(self, source: fx.GraphModule, path: str, node: fx.Node) -> fx.Node:
        place = self._without_inner(".".join(filter(None, [path, node.meta.get("path", node.target)])))
        return self._reader((place,), lambda: _constant(source, node))

    def _inner_tensor(self, whole: fx.Node, name: str) -> fx.Node:
        """Return a tensor inside one of a class of its own, such as the integers of a quantised weight."""
        value = getattr(self.weights[str(whole.target)], name)
        return self._reader((str(whole.target), name), value.detach)

    def _reader(self, place: tuple[str, ...], make: Callable[[], Any]) -> fx.Node:
        if place not in self.readers:
            target = _free_name("_".join(place), self.weights)
            self.weights[target] = make()
            self.readers[place] = self.graph.get_attr(target)
            self.readers[place].meta = {"val": self.weights[target]}
        return self.readers[place]

    def _inline(self, source: fx.GraphModule, path: str, node: fx.Node, wrapped: int, copies: dict[fx.Node, Any]) -> None:
        name = node.args[wrapped].target  # type: ignore[union-attr]
        inside = source.get_submodule(str(name))
        if not isinstance(inside, fx.GraphModule):
            raise TraceError(f"{node.target} wraps {name}, which is no graph")
        parameters = [parameter for parameter in inside.graph.nodes if parameter.op == "placeholder"]
        given = [copies[value] if isinstance(value, fx.Node) else value for value in node.args[wrapped + 1 :]]
        inner_copies = dict(zip(parameters, given, strict=True))
        self.copy(inside, ".".join(filter(None, [path, str(name)])), inner_copies)
        copies[node] = fx.node.map_arg(_output_of(inside.graph), inner_copies.__getitem__)

    def _without_inner(self, path: str) -> str:
        return path.removeprefix(f"{self.inner}.") if self.inner else path


def _free_name(path: str, taken: Mapping[str, Any]) -> str:
    """Return a weight's path that a GraphModule can have: a layer called "graph" would be taken for the module's own graph, and
    code cannot name one called "class"."""
    first, *inner = path.split(".")
    steps = [f"{first}_layer" if first in _MEANINGFUL else first, *inner]
    name = ".".join(f"{step}_layer" if keyword.iskeyword(step) else step for step in steps)
    while name in taken:
        name += "_"
    return name


def takes_inner_tensor(node: fx.Node) -> bool:
    """Tell whether a node reads a tensor inside one of a class of its own."""
    return node.op == "call_function" and str(node.target) == "export.access_subclass_inner_tensor.default"


def _output_of(graph: fx.Graph) -> Any:
    return next(node for node in graph.nodes if node.op == "output").args[0]


def _harmless_wrapping(node: fx.Node) -> int | None:
    """Return at which argument the wrapped graph stands if the wrapping changes no result, else None."""
    name = getattr(node.target, "__name__", "")
    if name == "wrap_with_set_grad_enabled":
        return 1
    if name == "wrap_with_autocast" and node.args[2] is False:
        return 4
    return None


def _constant(source: fx.GraphModule, node: fx.Node) -> Any:
    value = node.meta.get("tensor")
    if value is None:
        value = source
        for step in str(node.target).split("."):
            value = getattr(value, step)
    if isinstance(value, nn.Parameter):
        return nn.Parameter(value.detach(), requires_grad=False)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _is_assertion(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.startswith(_ASSERTIONS) and not node.users
