"""Graphs without a network behind them, and conditions anywhere in a box."""

from __future__ import annotations

import random

from benchmarks.harness.plain_problem import PlainProblem
from cic.decision.conditions import Box
from cic.graph import Graph, Op, Tensor


def graph_of(plain: PlainProblem, name: str = "hand-made") -> Graph:
    """A graph whose ops are op0, op1, … and whose tensors are t0, t1, …; each maker of outputs makes one more tensor."""
    tensors = [
        Tensor(
            f"t{index}",
            None if producer < 0 else f"op{producer}",
            tuple(f"op{reader}" for reader in readers),
            (size,),
            "uint8",
            size,
            may_cross=may_cross,
        )
        for index, (producer, readers, size, may_cross) in enumerate(plain.tensors)
    ]
    tensors += [
        Tensor(f"out{op}", f"op{op}", (), (size,), "uint8", size, is_output=True)
        for op, size in enumerate(plain.download_bytes)
        if size
    ]
    ops = []
    for index in range(plain.op_count):
        reads = tuple(tensor.name for tensor in tensors if f"op{index}" in tensor.consumers)
        makes = tuple(tensor.name for tensor in tensors if tensor.producer == f"op{index}")
        ops.append(Op(f"op{index}", ("any",), (f"op{index}",), reads, makes))
    return Graph(
        name,
        tuple(ops),
        tuple(tensors),
        tuple(tensor.name for tensor in tensors if tensor.producer is None),
        tuple(tensor.name for tensor in tensors if tensor.is_output),
    )


def random_conditions(rng: random.Random, box: Box) -> tuple[float, float, float, float, float]:
    """uplink, downlink, rtt and slowdowns, evenly in the logarithm inside a box."""

    def between(low: float, high: float) -> float:
        return min(max(low * (high / low) ** rng.random(), low), high)

    uplink = between(*box.uplink_bps)
    rtt = rng.choice([box.rtt_s[0], rng.uniform(*box.rtt_s), box.rtt_s[1]])
    return uplink, uplink * between(*box.downlink_ratio), rtt, between(*box.device_slowdown), between(*box.server_slowdown)
