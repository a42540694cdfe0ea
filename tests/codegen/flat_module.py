"""A small tracer for the tests of codegen: torch.export, flattened, in-place ops made functional.

Codegen speaks plain data, so its tests need no tracer of the product. Every op is one node here, views are free.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from codegen.bundle import Source
from codegen.structure import describe

# fmt: off
FREE_VIEWS = frozenset((
    "view", "reshape", "permute", "transpose", "flatten", "unsqueeze", "squeeze", "expand", "dropout", "select", "slice",
    "t", "unflatten", "contiguous", "alias", "detach", "chunk", "split", "split_with_sizes", "unbind",
))
# fmt: on


@dataclass(frozen=True)
class FlatModule:
    """A traced model: `ops` in graph order, `tensors` that may cross, `readers` of the ops' results by way of views."""

    source: Source
    ops: tuple[str, ...]
    predecessors: Mapping[str, frozenset[str]]

    @property
    def tensors(self) -> frozenset[str]:
        return frozenset(self.source.tensors)

    def closed_set(self, seeds: Sequence[str]) -> frozenset[str]:
        """Return the seeds and all ops they need."""
        closed: set[str] = set()
        waiting = list(seeds)
        while waiting:
            op = waiting.pop()
            if op not in closed:
                closed.add(op)
                waiting.extend(self.predecessors[op])
        return frozenset(closed)

    def random_closed_set(self, choice: random.Random) -> frozenset[str]:
        """Return a closed set grown from one or two random ops."""
        return self.closed_set(choice.sample(self.ops, choice.choice((1, 2))))


def flat_module(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> FlatModule:
    """Trace a model in eval mode on its arguments."""
    kwargs = kwargs or {}
    exported = torch.export.export(model.eval(), args, kwargs, strict=False).module()
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in exported.graph.nodes:
        if node.name == "_guards_fn":
            continue
        if node.op == "output":
            leaves = [leaf for leaf in node.all_input_nodes]
            flat = [leaf for leaf in _flat_output(node.args) if leaf is not None]
            assert set(flat) == set(leaves)
            graph.output(tuple(copies[leaf] for leaf in flat))
            continue
        copies[node] = graph.node_copy(node, copies.__getitem__)
        copies[node].target = _functional(node.target)
    module = fx.GraphModule(exported, graph)
    input_structure, inputs = describe({"args": args, "kwargs": kwargs})
    with torch.no_grad():
        output_structure, _ = describe(model(*args, **kwargs))
    ops, predecessors, tensors = _classify(graph)
    source = Source(module, tensors, inputs, input_structure, output_structure, "digest of the model")
    return FlatModule(source, ops, predecessors)


def _classify(graph: fx.Graph) -> tuple[tuple[str, ...], dict[str, frozenset[str]], frozenset[str]]:
    ops: list[str] = []
    predecessors: dict[str, frozenset[str]] = {}
    behind: dict[fx.Node, frozenset[str]] = {}
    constants: set[fx.Node] = set()
    tensors: set[str] = set()
    for node in graph.nodes:
        if node.op == "output":
            continue
        above = frozenset().union(*(behind[source] for source in node.all_input_nodes))
        if node.op == "placeholder":
            tensors.add(node.name)
            behind[node] = frozenset()
        elif constants.issuperset(node.all_input_nodes):
            constants.add(node)
            behind[node] = frozenset()
        elif _is_free(node):
            behind[node] = above
            if node.target is operator.getitem and node.args[0].name in ops:
                tensors.add(node.name)
        else:
            ops.append(node.name)
            predecessors[node.name] = above
            behind[node] = frozenset([node.name])
            if isinstance(node.meta["val"], torch.Tensor):
                tensors.add(node.name)
    return tuple(ops), predecessors, frozenset(tensors)


def _is_free(node: fx.Node) -> bool:
    return node.target is operator.getitem or node.target.__name__.split(".")[0] in FREE_VIEWS


def _functional(target: Any) -> Any:
    """Return the op that makes a new value where the traced one overwrites its first argument."""
    schema = getattr(target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return target
    name, overload = target.__name__.split(".")
    return getattr(getattr(torch.ops.aten, name.removesuffix("_")), overload)


def _flat_output(value: Any) -> list[fx.Node]:
    if isinstance(value, fx.Node):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for item in value for leaf in _flat_output(item)] if isinstance(value, list | tuple) else []
