"""Whose memory each value of a half is: found by running it once, for operators do not always say.

Many say it in their schemas (`view(Tensor(a) self) -> Tensor(a)`), others return their argument, or a view of it, without a
word: `dropout` in eval mode, `atleast_1d`, `sum_to_size`, `unsafe_chunk`. Passes that trust the schemas then take two names of
one memory for two values. `python -m benchmarks.halves.hidden_aliases` looks for them among all operators of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import torch
from torch import fx


@dataclass(frozen=True)
class Sharing:
    """What was seen of a half, the nodes inside its pieces included.

    sources: for each node with memory, those of its inputs whose memory its value shares.
    reshapes: the shape of each value that is its only source's memory read in the same order.
    """

    sources: dict[fx.Node, tuple[fx.Node, ...]] = field(default_factory=dict)
    reshapes: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)

    def hidden(self) -> list[fx.Node]:
        """Return the nodes that share memory with an input although their operators' schemas say that they do not."""
        return [
            node
            for node, sources in self.sources.items()
            if sources
            and isinstance(node.target, torch._ops.OpOverload)
            and all(result.alias_info is None for result in node.target._schema.returns)
        ]

    def replace(self, node: fx.Node, by: fx.Node) -> None:
        """Let what was seen of one node be what was seen of another that took its place."""
        self.sources[by] = self.sources.pop(node)
        self.reshapes[by] = self.reshapes.pop(node)
        for reader, sources in self.sources.items():
            self.sources[reader] = tuple(by if source is node else source for source in sources)


def observed_sharing(half: fx.GraphModule, example: Sequence[torch.Tensor]) -> Sharing:
    """Run a half once, op by op, and return who shares whose memory."""
    watch = _Watch(half, Sharing())
    with torch.no_grad():
        watch.run(*[tensor.clone() for tensor in example])
    return watch.sharing


def storages(value: Any) -> set[int]:
    """Return the addresses of the memory of all tensors in a value; tensors without elements have none."""
    return {tensor.untyped_storage().data_ptr() for tensor in _strided(value) if tensor.untyped_storage().nbytes()}


def copied(half: fx.GraphModule, *, flat: bool = False) -> fx.GraphModule:
    """Return a half with graphs of its own, those of its pieces included; weights are the same.

    flat: let weights be attributes of the half itself, under other names. Otherwise torch.jit, which rebuilds all modules that
    they came from, takes a third longer to trace.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(half.graph, {}))
    root = _flat_attributes(half, graph) if flat else half
    copy = fx.GraphModule(root, graph, class_name=type(half).__name__)
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(piece := half.get_submodule(str(node.target)), fx.GraphModule):
            copy.add_submodule(str(node.target), copied(piece))
    for part in copy.modules():
        part.training = False
    return copy


def _flat_attributes(half: fx.GraphModule, graph: fx.Graph) -> dict[str, Any]:
    """What the nodes of a half's graph name, by names without modules, which the nodes of the copied graph are given."""
    attributes: dict[str, Any] = {}
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            attributes[node.target] = half.get_submodule(str(node.target))
        elif node.op == "get_attr":
            value = attrgetter(node.target)(half)
            node.target = names.setdefault(node.target, f"_weight_{len(names)}")
            attributes[node.target] = value
    return attributes


class _Watch(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, sharing: Sharing) -> None:
        super().__init__(module)
        self.sharing = sharing

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        own = storages(value) if n.op not in ("placeholder", "output") else set()
        if own:
            sources = tuple(source for source in n.all_input_nodes if own & storages(self.env.get(source)))
            self.sharing.sources[n] = sources
            if len(sources) == 1 and _is_reshaped(value, self.env[sources[0]]):
                self.sharing.reshapes[n] = tuple(value.shape)
        return value

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        piece = self.module.get_submodule(str(target))
        if isinstance(piece, fx.GraphModule) and not kwargs:
            return _Watch(piece, self.sharing).run(*args)
        return super().call_module(target, args, kwargs)


def _is_reshaped(value: Any, source: Any) -> bool:
    if not (isinstance(value, torch.Tensor) and isinstance(source, torch.Tensor)):
        return False
    if value.numel() != source.numel() or value.dtype != source.dtype or source.layout is not torch.strided:
        return False
    reshaped = source.reshape(value.shape)
    return reshaped.data_ptr() == value.data_ptr() and reshaped.stride() == value.stride()


def _strided(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _strided(item)
