"""A traced model as codegen takes it: nodes, names that may cross, and which nodes need which."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from cic.graph import Graph
from cic.trace.fx.torch_trace import trace
from codegen.bundle.torch_source import TorchSource


@dataclass(frozen=True)
class FlatModule:
    """`ops` are the node names of all ops in graph order, `predecessors` the nodes of the ops that must run before."""

    source: TorchSource
    ops: tuple[str, ...]
    predecessors: Mapping[str, frozenset[str]]

    @property
    def tensors(self) -> frozenset[str]:
        return frozenset(self.source.tensors)

    def closed_set(self, seeds: Sequence[str]) -> frozenset[str]:
        """Return the seeds and all nodes they need."""
        closed: set[str] = set()
        waiting = list(seeds)
        while waiting:
            node = waiting.pop()
            if node not in closed:
                closed.add(node)
                waiting.extend(self.predecessors[node])
        return frozenset(closed)

    def random_closed_sets(self, count: int, seed: int = 7) -> list[frozenset[str]]:
        """Return the empty set, the full set, and closed sets grown from one or two random nodes."""
        choice = random.Random(seed)
        grown = [self.closed_set(choice.sample(self.ops, choice.choice((1, 2)))) for _ in range(count)]
        return [frozenset(), frozenset(self.ops), *grown]


def flat_module(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, *, fused: bool = False
) -> FlatModule:
    """Trace a model on its arguments; `fused` keeps the nodes of a fused op together."""
    traced = trace(model, args, kwargs)
    graph = traced.graph if fused else traced.unfused
    source = replace(traced.source, tensors=graph.crossable, model_digest=graph.digest)
    ops = tuple(node for op in graph.ops for node in op.members)
    return FlatModule(source, ops, _predecessors(graph))


def _predecessors(graph: Graph) -> dict[str, frozenset[str]]:
    members = {op.name: op.members for op in graph.ops}
    predecessors = {}
    for op in graph.ops:
        producers = (graph.tensor_by_name[name].producer for name in op.inputs)
        needed = {node for producer in producers if producer is not None for node in members[producer]}
        for node in op.members:
            predecessors[node] = frozenset(needed | set(op.members) - {node})
    return predecessors
