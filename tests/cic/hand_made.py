"""Splitting models made from random graphs, without torch: lower → compress → envelope → table, as the compiler does."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.harness.plain_problem import PlainProblem
from cic.compilation.lowering import Lowered, bounds, lower, price_box
from cic.decision.break_points import break_points, line
from cic.decision.cic_file import details_of
from cic.decision.conditions import Box
from cic.decision.splitting_model import Cut, SplittingModel
from cic.graph import Graph, Op, Tensor
from compress.schedule import compress
from mincut.envelope import envelope

NO_CALL = {
    "kind": "dict",
    "keys": ["args", "kwargs"],
    "items": [{"kind": "tuple", "items": []}, {"kind": "dict", "keys": [], "items": []}],
}


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


def lowered(plain: PlainProblem) -> Lowered:
    sides = {1: "device", 2: "server"}
    return lower(
        graph_of(plain),
        [time * 1e-9 for time in plain.device_ns],
        [time * 1e-9 for time in plain.server_ns],
        pins={f"op{op}": sides[pin] for op, pin in enumerate(plain.pinned) if pin},
    )


def splitting_model(plain: PlainProblem, box: Box, rtt_s: float = 0.0, downlink_ratio: float = 1.0) -> SplittingModel:
    low = lowered(plain)
    compression = compress(low.problem, bounds(box, 0.0))
    found = envelope(compression.reduction.problem, price_box(box))
    placements = [compression.reduction.lift(side) for side in found.placements]
    placements.sort(key=lambda side: int(side.sum()))
    document = {
        "ops": [
            {"name": op.name, "kinds": list(op.kinds), "device_ns": device, "server_ns": server, "pinned": pinned}
            for op, device, server, pinned in zip(
                low.graph.ops,
                low.problem.device_ns.tolist(),
                low.problem.server_ns.tolist(),
                low.problem.pinned.tolist(),
                strict=True,
            )
        ],
        "tensors": [
            {
                "name": tensor.name,
                "producer": -1 if tensor.producer is None else int(tensor.producer[2:]),
                "consumers": [int(name[2:]) for name in tensor.consumers],
                "wire_bytes": tensor.bytes,
                "shape": list(tensor.shape),
                "dtype": tensor.dtype,
                "may_cross": tensor.may_cross,
                "is_output": tensor.is_output,
            }
            for tensor in low.graph.tensors
        ],
        "cuts": [np.flatnonzero(side).tolist() for side in placements],
        "member_of": compression.reduction.member_of.tolist(),
        "inputs": {"structure": NO_CALL, "tensors": []},
    }
    cuts = [
        Cut(
            "device-only" if side.all() else "server-only" if not side.any() else f"cut-{index:02d}",
            low.problem.features(side),
            details_of(lambda: document, index),
        )
        for index, side in enumerate(placements)
    ]
    points, best = break_points([line(cut.row, rtt_s, downlink_ratio, 1.0, 1.0) for cut in cuts], box.uplink_bps)
    return SplittingModel(
        name="hand-made",
        cuts=cuts,
        break_points=points,
        best_between=best,
        box=box,
        default_rtt_s=rtt_s,
        default_downlink_ratio=downlink_ratio,
        information=information(len(low.graph.ops), compression.reduction.problem.op_count),
        proof={
            "complete": found.complete,
            "gap": found.gap,
            "solves": found.solves,
            "rays": [list(prices) for prices in found.rays],
        },
        graph=lambda: document,
    )


def information(ops: int, compressed_ops: int) -> dict[str, object]:
    """What a file says of where it comes from, made up."""
    machine = {"kind": "machine", "name": "made up", "source": "nowhere"}
    return {
        **dict.fromkeys(("cic", "torch"), "0"),
        "date": "2026-01-31",
        **dict.fromkeys(("graph_digest", "weights_digest"), "0" * 64),
        "device": machine,
        "server": machine,
        "ops": ops,
        "traced_nodes": ops,
        "compressed_ops": compressed_ops,
        "merged_by_rule": {},
        "uncertainty": 0.0,
    }


def random_conditions(rng: random.Random, box: Box) -> tuple[float, float, float, float, float]:
    """uplink, downlink, rtt and slowdowns, evenly in the logarithm inside a box."""

    def between(low: float, high: float) -> float:
        return min(max(low * (high / low) ** rng.random(), low), high)

    uplink = between(*box.uplink_bps)
    rtt = rng.choice([box.rtt_s[0], rng.uniform(*box.rtt_s), box.rtt_s[1]])
    return uplink, uplink * between(*box.downlink_ratio), rtt, between(*box.device_slowdown), between(*box.server_slowdown)
