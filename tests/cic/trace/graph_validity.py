"""What must hold for every traced model: a well-formed graph, and halves that compute the whole at every cut."""

from __future__ import annotations

import random
from collections.abc import Iterable

import torch

from cic.graph import Graph
from cic.trace.fx.agreement import first_difference
from cic.trace.fx.constants import dependent_nodes
from cic.trace.fx.flat_model import flat_tensors
from cic.trace.fx.traced_model import TracedModel
from cic.trace.fx.views import is_free_view
from codegen.splitters.fx import split


def assert_graph_valid(graph: Graph) -> None:
    """Topological, and ops and tensors tell the same story."""
    assert len(graph.op_by_name) == len(graph.ops) and len(graph.tensor_by_name) == len(graph.tensors)
    known = set(graph.inputs)
    consumers: dict[str, list[str]] = {tensor.name: [] for tensor in graph.tensors}
    for op in graph.ops:
        assert set(op.inputs) <= known, f"{op.name} reads {set(op.inputs) - known} before it is made"
        assert len(set(op.inputs)) == len(op.inputs) and op.members and len(op.signature) == 64
        # A member that runs a graph of its own has its own kind and that of the largest product in it.
        assert len(op.kinds) <= 2 * len(op.members) and op.flops >= 0 and op.memory_bytes >= 0
        for name in op.inputs:
            consumers[name].append(op.name)
        for name in op.outputs:
            assert name not in known and graph.tensor_by_name[name].producer == op.name
            known.add(name)
    assert known == set(graph.tensor_by_name)
    for tensor in graph.tensors:
        assert list(tensor.consumers) == consumers[tensor.name], tensor
        assert tensor.is_output == (tensor.name in graph.outputs)
        assert (tensor.producer is None) == (tensor.name in graph.inputs)
    assert len(set(graph.outputs)) == len(graph.outputs)


def assert_members_cover_module(traced: TracedModel) -> None:
    """Every node that computes from the inputs stands in exactly one op, in the fused and in the unfused graph."""
    graph = traced.module.graph
    dependent = dependent_nodes(graph)
    computing = {
        node.name
        for node in graph.nodes
        if node in dependent and node.op in ("call_function", "call_module") and not is_free_view(node)
    }
    for view in (traced.graph, traced.unfused):
        members = [member for op in view.ops for member in op.members]
        assert len(members) == len(set(members))
        assert set(members) == computing


def assert_equals_model(traced: TracedModel, model: torch.nn.Module) -> None:
    _, tensors = flat_tensors((traced.args, traced.kwargs), "arguments")
    flags = [module.training for module in model.modules()]
    model.eval()
    with torch.no_grad():
        _, expected = flat_tensors(model(*traced.args, **traced.kwargs), "output")
        assert first_difference(traced.module(*tensors), expected) is None
    for module, flag in zip(model.modules(), flags, strict=True):
        module.training = flag


def closed_sets(graph: Graph, count: int, seed: int = 0) -> Iterable[frozenset[str]]:
    """Yield sets of ops closed under predecessors that send only what may cross: all small ones' prefixes, then random."""
    producers = {op.name: {graph.tensor_by_name[name].producer for name in op.inputs} - {None} for op in graph.ops}
    generator = random.Random(seed)
    for _ in range(count):
        share = generator.random()
        chosen: set[str] = set()
        for op in graph.ops:
            if producers[op.name] <= chosen and generator.random() < share**0.2:
                chosen.add(op.name)
        if _sends_only_what_may_cross(graph, chosen):
            yield frozenset(chosen)


def _sends_only_what_may_cross(graph: Graph, chosen: set[str]) -> bool:
    return all(
        tensor.may_cross or not (tensor.producer in chosen and set(tensor.consumers) - chosen)
        for tensor in graph.tensors
        if tensor.producer is not None
    )


def assert_cuts_are_exact(traced: TracedModel, count: int = 20, seed: int = 0) -> None:
    """Head, a wire that copies, tail: the same as the model, for random cuts of the unfused graph and the fused one."""
    for graph in (traced.graph, traced.unfused):
        for device_ops in [frozenset(), *closed_sets(graph, count, seed), frozenset(graph.op_by_name)]:
            difference = first_difference(run_cut(traced, graph, device_ops), expected_tensors(traced))
            assert difference is None, f"device {sorted(device_ops)}: {difference}"


def expected_tensors(traced: TracedModel) -> tuple[torch.Tensor, ...]:
    return flat_tensors(traced.output_example, "output")[1]


def run_cut(traced: TracedModel, graph: Graph, device_ops: frozenset[str]) -> list[torch.Tensor]:
    members = {member for op in graph.ops if op.name in device_ops for member in op.members}
    wire = [tensor.name for tensor in graph.tensors if tensor.may_cross]
    halves = split(traced.module, members, wire)
    _, tensors = flat_tensors((traced.args, traced.kwargs), "arguments")
    with torch.no_grad():
        made = halves.head(*(tensor.clone() for tensor in tensors))
        sent = [tensor.contiguous().clone() for tensor in made[: len(halves.crossing)]]
        returned = halves.tail(*sent)
    sources = {"head": made, "tail": returned}
    return [sources[source.half][source.position] for source in halves.outputs]
