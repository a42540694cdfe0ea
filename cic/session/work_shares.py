"""What the work of each cut consists of on either side: shares of groups of ops, which a machine is quick or slow at.

The ops of a splitting model for unknown machines have the times of usual figures (`cic.cost.unknown_machine`). These are a
start of the op, which is the same for all, and beyond that a pass over memory or arithmetic. So the groups are

    starts         the constant of each op
    convolutions   that take much longer than passing over their tensors: they are bound by arithmetic
    products       likewise: matrix products, attention, recurrence
    passes         all other ops, which are bound by memory: elementwise ones, pooling, depthwise convolutions

and each of them stands for a figure of a machine that may be off by itself. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cic.cost.families import families_of, multiplies
from cic.cost.machine import Machine
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_graph import StoredGraph, StoredOp

GROUPS = ("starts", "convolutions", "products", "passes")
_ARITHMETIC = 1.5
_CONVOLUTIONS = frozenset(["convolution", "transposed convolution", "deformable convolution"])

Shares = Mapping[str, tuple[float, ...]]
"""By the label of a cut: one number for each group, which add up to 1; cuts without any work are left out."""


def work_shares(model: SplittingModel, usual: Mapping[str, Machine]) -> tuple[Shares, Shares]:
    """The shares on the device, and on the server, of all cuts of a splitting model.

    usual: the figures that the times of each side were made from, of "the device" and "the server".
    """
    graph = model.graph()
    passed = _passed_bytes(graph)
    device = [_by_group(op, op.device_ns, size, usual["the device"]) for op, size in zip(graph.ops, passed, strict=True)]
    server = [_by_group(op, op.server_ns, size, usual["the server"]) for op, size in zip(graph.ops, passed, strict=True)]
    on_device: dict[str, tuple[float, ...]] = {}
    on_server: dict[str, tuple[float, ...]] = {}
    everywhere = range(len(graph.ops))
    for cut, ops in zip(model.cuts, graph.cuts, strict=True):
        _add(on_device, cut.label, [device[op] for op in ops])
        if cut.offloads:
            here = frozenset(ops)
            _add(on_server, cut.label, [server[op] for op in everywhere if op not in here])
    return on_device, on_server


def _add(shares: dict[str, tuple[float, ...]], label: str, works: Sequence[Sequence[float]]) -> None:
    sums = [sum(column) for column in zip(*works, strict=True)]
    total = sum(sums)
    if total > 0:
        shares[label] = tuple(amount / total for amount in sums)


def _passed_bytes(graph: StoredGraph) -> list[int]:
    """Of each op: the bytes of the tensors that it reads and makes."""
    passed = [0] * len(graph.ops)
    for tensor in graph.tensors:
        makers = [tensor.producer] if tensor.producer >= 0 else []
        for op in (*makers, *tensor.consumers):
            passed[op] += tensor.wire_bytes
    return passed


def _by_group(op: StoredOp, ns: int, passed_bytes: int, machine: Machine) -> tuple[float, float, float, float]:
    """The time of an op by group, in the order of `GROUPS`."""
    start_ns = min(machine.op_overhead_s * 1e9, float(ns))
    rest_ns = ns - start_ns
    memory_ns = passed_bytes / machine.memory_bytes_per_s * 1e9
    if not multiplies(op.kinds) or rest_ns <= _ARITHMETIC * memory_ns:
        return start_ns, 0.0, 0.0, rest_ns
    if _CONVOLUTIONS.intersection(families_of(op.kinds)):
        return start_ns, rest_ns, 0.0, 0.0
    return start_ns, 0.0, rest_ns, 0.0
