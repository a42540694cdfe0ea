"""Work of nodes that run graphs of their own: pieces that stay together, branches, loops.

A branch counts as its dearest side, a loop as often as its trip count says where that is known (`scan`, `map`), else once.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from cic.trace.fx.product_work import PRODUCTS
from cic.trace.fx.schema import base_name
from cic.trace.fx.work import arithmetic_type, first_tensor, flops_of, steps_in, traffic_of
from cic.trace.recurrent_work import Steps


@dataclass(frozen=True, slots=True)
class Work:
    """flops, arithmetic and steps as `cic.graph.Op` has them. product: the largest one's kind, "" if nothing multiplies."""

    flops: int
    arithmetic: str
    steps: Steps
    product: str


def work_of(module: fx.GraphModule, lead: fx.Node) -> Work:
    """Return what a node computes, the graphs that it runs included."""
    graphs = [source.meta.get("val") for source in lead.all_input_nodes if source.op == "get_attr"]
    inner = [graph for graph in graphs if isinstance(graph, fx.GraphModule)]
    if lead.op == "call_module":
        inner.append(module.get_submodule(str(lead.target)))  # type: ignore[arg-type]
    if not inner:
        name = base_name(lead)
        return Work(flops_of(lead), arithmetic_type(lead), steps_in(lead), name if name in PRODUCTS else "")
    each = [_of_graph(graph) for graph in inner]
    if base_name(lead) == "cond":
        return max(each, key=lambda work: work.flops)
    trips = _trips(lead)
    nodes = [node for graph in inner for node in graph.graph.nodes if node.op == "call_function"]
    starts = trips * sum(work.steps.starts for work in each)
    again = trips * sum(work.steps.reread_bytes for work in each)
    if trips > 1:
        starts += trips * len(nodes) - 1
        again += (trips - 1) * sum(map(traffic_of, nodes))
    main = max(each, key=lambda work: work.flops)
    return Work(trips * sum(work.flops for work in each), main.arithmetic, Steps(starts, again), main.product)


def _of_graph(graph: fx.GraphModule) -> Work:
    parts = [work_of(graph, node) for node in graph.graph.nodes if node.op in ("call_function", "call_module")]
    if not parts:
        return Work(0, "float32", Steps(), "")
    steps = Steps(sum(part.steps.starts for part in parts), sum(part.steps.reread_bytes for part in parts))
    main = max(parts, key=lambda part: (bool(part.product), part.flops))
    return Work(sum(part.flops for part in parts), main.arithmetic, steps, main.product)


def _trips(lead: fx.Node) -> int:
    """How often a loop runs its body: as often as what it is mapped over has rows."""
    position = {"scan": 2, "map_impl": 1, "map": 1}.get(base_name(lead))
    if position is None or len(lead.args) <= position:
        return 1
    rows = lead.args[position]
    first = rows[0] if isinstance(rows, list | tuple) and rows else rows
    value = first_tensor(first.meta.get("val")) if isinstance(first, fx.Node) else None
    return max(1, value.shape[0]) if value is not None and value.dim() else 1
