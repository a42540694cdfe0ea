"""Applies the rule *fuse* to a `Graph`: runs become ops, values inside a run vanish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cic.graph import Graph, Op, Tensor
from cic.trace.signature import joined
from compress.rules.fuse import Wiring, fused_runs


def fuse(graph: Graph) -> Graph:
    """Return `graph` with every fusible run as one op, named after its first op; what it computes is unchanged."""
    runs = [[graph.ops[index] for index in run] for run in fused_runs(_wiring(graph))]
    inner = {op.outputs[0] for run in runs for op in run[:-1]}
    name_of = {op.name: run[0].name for run in runs for op in run}
    ops = tuple(_merge(graph, run) for run in runs)
    tensors = tuple(_renamed(tensor, name_of) for tensor in graph.tensors if tensor.name not in inner)
    return replace(graph, ops=ops, tensors=tensors)


def _wiring(graph: Graph) -> Wiring:
    number = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    return Wiring(
        kinds=tuple(op.kinds for op in graph.ops),
        reads=tuple(tuple(number[name] for name in op.inputs) for op in graph.ops),
        makes=tuple(tuple(number[name] for name in op.outputs) for op in graph.ops),
        size_bytes=tuple(tensor.bytes for tensor in graph.tensors),
        is_output=tuple(tensor.is_output for tensor in graph.tensors),
        may_cross=tuple(tensor.may_cross for tensor in graph.tensors),
    )


def _merge(graph: Graph, run: Sequence[Op]) -> Op:
    if len(run) == 1:
        return run[0]
    inner = [graph.tensor_by_name[op.outputs[0]] for op in run[:-1]]
    return Op(
        name=run[0].name,
        kinds=tuple(kind for op in run for kind in op.kinds),
        members=tuple(member for op in run for member in op.members),
        inputs=run[0].inputs,
        outputs=run[-1].outputs,
        flops=sum(op.flops for op in run),
        # Each inner value was counted twice, when it was written and when it was read; in a run it is neither.
        memory_bytes=max(0, sum(op.memory_bytes for op in run) - 2 * sum(tensor.bytes for tensor in inner)),
        signature=joined([op.signature for op in run]),
        source=run[0].source,
    )


def _renamed(tensor: Tensor, name_of: dict[str, str]) -> Tensor:
    producer = None if tensor.producer is None else name_of[tensor.producer]
    return replace(tensor, producer=producer, consumers=tuple(dict.fromkeys(name_of[name] for name in tensor.consumers)))
