"""Nodes that depend on no model input: found, and where worthwhile computed once and for all.

Shapes are fixed by tracing, so `zeros_like(x)` depends on nothing. What constants are computed from weights alone is
folded into a buffer, including masks that are filled in place, so that no half computes them again; only big ones
(`FOLD_LIMIT_BYTES`) and views of weights stay nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from cic.trace.fx.propagation import storages
from cic.trace.fx.schema import arguments, base_name, draws_random_numbers, written

FOLD_LIMIT_BYTES = 16 * 2**20
_aten = torch.ops.aten


def bake_shapes(module: fx.GraphModule) -> None:
    """Replace ops that read only the shape or type of an argument by ones with the shape or type written out."""
    graph = module.graph
    for node in list(graph.nodes):
        make = _BAKED.get(base_name(node)) if node.op == "call_function" else None
        value = node.meta.get("val")
        if make is None or written(node) or not _is_plain(value):
            continue
        replacement = make(arguments(node), value)
        if replacement is None:
            continue
        target, args, kwargs = replacement
        with graph.inserting_before(node):
            baked = graph.call_function(target, args, kwargs)
        baked.meta = dict(node.meta)
        node.replace_all_uses_with(baked)
        graph.erase_node(node)


def dependent_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that depend on a placeholder, be it through a value that is written into them later."""
    dependent: set[fx.Node] = set()
    tainted: set[int] = set()
    while True:
        before = len(dependent), len(tainted)
        for node in graph.nodes:
            depends = node.op == "placeholder" or any(source in dependent for source in node.all_input_nodes)
            if depends or storages(node.meta.get("val")) & tainted:
                dependent.add(node)
            if node in dependent:
                for target in written(node):
                    tainted |= storages(target.meta.get("val"))
        if (len(dependent), len(tainted)) == before:
            return dependent


def fold_constants(module: fx.GraphModule) -> None:
    """Compute constant nodes once and put buffers in their place. Needs `meta["val"]` and no writes to weights."""
    graph = module.graph
    dependent = dependent_nodes(graph)
    constant = [node for node in graph.nodes if node not in dependent and node.op in ("get_attr", "call_function")]
    changed = frozenset().union(*(storages(w.meta.get("val")) for node in constant for w in written(node)))
    wanted = _frontier(graph, dependent, changed)
    if wanted:
        folds = _Folding(module, wanted, changed)
        with torch.no_grad():
            folds.run()
    _drop_unread(graph, dependent)


def _drop_unread(graph: fx.Graph, dependent: set[fx.Node]) -> None:
    """Remove constant nodes that no result and no dependent node needs any more, writes to folded values included."""
    live: set[fx.Node] = set()
    stack = [node for node in graph.nodes if node in dependent or node.op == "output"]
    while stack:
        node = stack.pop()
        if node not in live:
            live.add(node)
            stack += node.all_input_nodes
    for node in reversed(list(graph.nodes)):
        if node not in live and node.op != "placeholder":
            graph.erase_node(node)


def _frontier(graph: fx.Graph, dependent: set[fx.Node], changed: frozenset[int]) -> set[fx.Node]:
    """Return the constant nodes to replace: those a dependent node reads, looked for behind views of weights."""
    wanted: set[fx.Node] = set()
    queue = [source for node in graph.nodes if node in dependent or node.op == "output" for source in node.all_input_nodes]
    seen: set[fx.Node] = set()
    while queue:
        node = queue.pop()
        if node in seen or node in dependent or node.op != "call_function":
            continue
        seen.add(node)
        own = storages(node.meta.get("val"))
        if own & changed or _is_foldable(node):
            wanted.add(node)
        else:
            queue += node.all_input_nodes
    return wanted


def _is_foldable(node: fx.Node) -> bool:
    value: Any = node.meta.get("val")
    if not _is_plain(value) or draws_random_numbers(node):
        return False
    is_view = any(storages(value) & storages(source.meta.get("val")) for source in node.all_input_nodes)
    return not is_view and value.numel() * value.element_size() <= FOLD_LIMIT_BYTES


class _Folding:
    """Runs the constant nodes in order; a reader of a value that is still to be written gets it as it is then."""

    def __init__(self, module: fx.GraphModule, wanted: set[fx.Node], changed: frozenset[int]) -> None:
        self.module, self.wanted, self.changed = module, wanted, changed
        self.needed = self._needed()
        self.values: dict[fx.Node, Any] = {}
        self.buffers: dict[tuple[fx.Node, int], fx.Node] = {}
        self.folded = 0

    def run(self) -> None:
        nodes = list(self.module.graph.nodes)
        first = next((node for node in nodes if node.op != "placeholder"), None)
        for node in nodes:
            if node in self.needed:
                self.values[node] = self._evaluate(node)
            else:
                for source in [source for source in node.all_input_nodes if source in self.wanted]:
                    node.replace_input_with(source, self._buffer(source, first))

    def _needed(self) -> set[fx.Node]:
        """Return the wanted nodes, what they are computed from, and every write to those."""
        graph, needed = self.module.graph, set(self.wanted)
        dependent = dependent_nodes(graph)
        while True:
            before = len(needed)
            for node in list(needed):
                needed.update(node.all_input_nodes)
            needed_storages = frozenset().union(*(storages(node.meta.get("val")) for node in needed))
            for node in graph.nodes:
                if node not in dependent and any(storages(w.meta.get("val")) & needed_storages for w in written(node)):
                    needed.add(node)
            if len(needed) == before:
                return needed

    def _evaluate(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            value: Any = self.module
            for step in str(node.target).split("."):
                value = getattr(value, step)
            return value
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: self.values[source])
        target: Any = node.target
        try:
            return target(*args, **kwargs)
        except Exception as error:
            error.args = (f"{error}\n\nWhile executing %{node.name}",)  # as torch's own interpreter says it
            raise

    def _buffer(self, source: fx.Node, first: fx.Node | None) -> fx.Node:
        value = self.values[source]
        key = source, value._version
        if key not in self.buffers:
            name = f"folded_{source.name}" + (f"_{self.folded}" if hasattr(self.module, f"folded_{source.name}") else "")
            self.folded += 1
            self.module.register_buffer(name, value.detach().clone())
            with self.module.graph.inserting_before(first):
                node = self.module.graph.get_attr(name)
            node.meta["val"] = source.meta["val"].clone()
            self.buffers[key] = node
        return self.buffers[key]


# ------------------------------------------------------------------------------------ ops that read only a shape or type


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and not value.is_quantized
        and all(isinstance(size, int) for size in value.shape)
    )


def _filled(fill: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any], torch.Tensor], Any]:
    def make(bound: dict[str, Any], value: torch.Tensor) -> Any:
        filling = fill(bound)
        if isinstance(filling, fx.Node):
            return None
        place = {"dtype": value.dtype, "device": value.device}
        return _aten.full.default, (list(value.shape), filling), place

    return make


def _as_shape(target: Any) -> Callable[[dict[str, Any], torch.Tensor], Any]:
    return lambda bound, value: (target, (bound["self"], list(value.shape)), {})


_BAKED: dict[str, Callable[[dict[str, Any], torch.Tensor], Any]] = {
    "zeros_like": _filled(lambda bound: 0),
    "new_zeros": _filled(lambda bound: 0),
    "ones_like": _filled(lambda bound: 1),
    "new_ones": _filled(lambda bound: 1),
    "full_like": _filled(lambda bound: bound["fill_value"]),
    "new_full": _filled(lambda bound: bound["fill_value"]),
    # An empty tensor holds anything, so zeros, too: then every run and both halves agree.
    "empty_like": _filled(lambda bound: 0),
    "new_empty": _filled(lambda bound: 0),
    "empty": _filled(lambda bound: 0),
    # What is left of `zero_` and `fill_` once they write nothing; TorchScript cannot trace them as they are.
    "zero": _filled(lambda bound: 0),
    "fill": _filled(lambda bound: bound["value"]),
    "expand_as": _as_shape(_aten.expand.default),
    "view_as": _as_shape(_aten.view.default),
    "reshape_as": _as_shape(_aten.reshape.default),
    "type_as": lambda bound, value: (_aten.to.dtype, (bound["self"], value.dtype), {}),
}
