"""Applies the rule *fuse* to a `Graph`: runs become ops, values inside a run vanish."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from cic.graph import Graph, Op, Tensor
from cic.trace.fused_runs import Wiring, fused_runs
from cic.trace.op_digest import joined


def fuse(graph: Graph, ends: Collection[str] = ()) -> Graph:
    """Return `graph` with every fusible run as one op, named after its first op; what it computes is unchanged.

    ends: tensors at which a run ends in any case.
    """
    runs = [[graph.ops[index] for index in run] for run in fused_runs(_wiring(graph, ends))]
    inner = {op.outputs[0] for run in runs for op in run[:-1]}
    name_of = {op.name: run[0].name for run in runs for op in run}
    ops = tuple(_merge(graph, run) for run in runs)
    tensors = tuple(_renamed(tensor, name_of) for tensor in graph.tensors if tensor.name not in inner)
    return replace(graph, ops=ops, tensors=tensors)


def _wiring(graph: Graph, ends: Collection[str]) -> Wiring:
    number = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    return Wiring(
        kinds=tuple(op.kinds for op in graph.ops),
        reads=tuple(tuple(number[name] for name in op.inputs) for op in graph.ops),
        makes=tuple(tuple(number[name] for name in op.outputs) for op in graph.ops),
        size_bytes=tuple(tensor.bytes for tensor in graph.tensors),
        is_output=tuple(tensor.is_output or tensor.name in ends for tensor in graph.tensors),
        may_cross=tuple(tensor.may_cross for tensor in graph.tensors),
    )


def _merge(graph: Graph, run: Sequence[Op]) -> Op:
    if len(run) == 1:
        return run[0]
    main = max(run, key=lambda op: op.flops)
    return Op(
        name=run[0].name,
        kinds=tuple(kind for op in run for kind in op.kinds),
        members=tuple(member for op in run for member in op.members),
        inputs=run[0].inputs,
        outputs=run[-1].outputs,
        flops=sum(op.flops for op in run),
        memory_bytes=max(0, sum(op.memory_bytes for op in run) - _kept_bytes(graph, run)),
        signature=joined([op.signature for op in run], _links(run)),
        source=run[0].source,
        arithmetic=main.arithmetic,
        starts=sum(op.starts for op in run),
        reread_bytes=sum(op.reread_bytes for op in run),
    )


def _kept_bytes(graph: Graph, run: Sequence[Op]) -> int:
    """Bytes that were counted and are not moved: an inner value is neither written nor read again by those who use it."""
    inner = [graph.tensor_by_name[op.outputs[0]] for op in run[:-1]]
    return sum(tensor.bytes * (1 + len(tensor.consumers)) for tensor in inner)


def _links(run: Sequence[Op]) -> list[list[int]]:
    """For each op after the first which ops of the run it reads, by position; empty where each reads the one before."""
    position = {op.outputs[0]: index for index, op in enumerate(run[:-1])}
    links = [[position[name] for name in op.inputs if name in position] for op in run[1:]]
    return [] if all(link == [index] for index, link in enumerate(links)) else links


def _renamed(tensor: Tensor, name_of: dict[str, str]) -> Tensor:
    producer = None if tensor.producer is None else name_of[tensor.producer]
    return replace(tensor, producer=producer, consumers=tuple(dict.fromkeys(name_of[name] for name in tensor.consumers)))
