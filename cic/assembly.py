"""What the compiler found, as a `SplittingModel`: cuts get ids, numbers get names, provenance is written down."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import numpy as np
import torch

import cic
from cic.artifact import details_of
from cic.conditions import Box, Conditions
from cic.cost.machine import Machine
from cic.cost.profile import Profile
from cic.example_inputs import describe_inputs
from cic.lowering import Lowered
from cic.splitting_model import DEVICE_ONLY, SERVER_ONLY, Cut, SplittingModel
from cic.table import break_points, line
from cic.trace.onnx_model import OnnxModel
from cic.trace.torch_trace import TracedModel
from compress.schedule import Compression
from mincut.envelope import Envelope
from mincut.network import build
from mincut.problem import BoolArray


def assemble(
    traced: TracedModel | OnnxModel,
    lowered: Lowered,
    compression: Compression,
    found: Envelope,
    box: Box,
    defaults: Conditions,
    costs: tuple[Machine | Profile, Machine | Profile],
    uncertainty: float,
    seconds_spent: dict[str, float],
) -> SplittingModel:
    """Put the pieces together; see `cic.pipeline.compile` for what they are."""
    placements = _ordered_placements(lowered, compression, found)
    document = _graph_document(traced, lowered, compression, placements)
    cuts = [
        Cut(cut_id, lowered.problem.features(placement), details_of(lambda: document, index))
        for index, (cut_id, placement) in enumerate(zip(_cut_ids(placements), placements, strict=True))
    ]
    ratio = defaults.downlink_bps / defaults.uplink_bps
    points, best = break_points([line(cut.row, defaults.rtt_s, ratio, 1.0, 1.0) for cut in cuts], box.uplink_bps)
    return SplittingModel(
        name=traced.graph.name,
        cuts=cuts,
        break_points=points,
        best_between=best,
        box=box,
        default_rtt_s=defaults.rtt_s,
        default_downlink_ratio=ratio,
        information={
            "cic": cic.__version__,
            "torch": torch.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "graph_digest": traced.graph.digest,
            "weights_digest": traced.weights_digest if isinstance(traced, OnnxModel) else _weights_digest(traced),
            "device": _provenance(costs[0]),
            "server": _provenance(costs[1]),
            "ops": len(traced.graph.ops),
            "traced_nodes": sum(len(op.members) for op in traced.graph.ops),
            "compressed_ops": compression.reduction.problem.op_count,
            "merged_by_rule": dict(compression.merged),
            "uncertainty": uncertainty,
            **seconds_spent,
        },
        proof={
            "complete": found.complete,
            "gap": found.gap if isfinite(found.gap) else None,
            "solves": found.solves,
            "rays": [list(prices) for prices in found.rays],
        },
        graph=lambda: document,
    )


def _ordered_placements(lowered: Lowered, compression: Compression, found: Envelope) -> list[BoolArray]:
    """All placements of the table, from least to most on the device; the two extremes are always among them."""
    problem = lowered.problem
    placements = [compression.reduction.lift(placement) for placement in found.placements]
    placements.append(build(problem).feasible)
    everything = np.ones(problem.op_count, dtype=np.bool_)
    if problem.violation(everything) is None:
        placements.append(everything)
    distinct = {placement.tobytes(): placement for placement in placements}
    return sorted(distinct.values(), key=lambda side: (int(side.sum()), side.tobytes()))


def _cut_ids(placements: list[BoolArray]) -> list[str]:
    ids = []
    for index, placement in enumerate(placements):
        if placement.all():
            ids.append(DEVICE_ONLY)
        elif not placement.any():
            ids.append(SERVER_ONLY)
        else:
            ids.append(f"cut-{index:02d}")
    return ids


def _graph_document(
    traced: TracedModel | OnnxModel, lowered: Lowered, compression: Compression, placements: list[BoolArray]
) -> dict[str, Any]:
    """Ops, tensors and cuts in full, as plain JSON values; ids are positions in these lists, producer -1 is the caller."""
    problem, graph = lowered.problem, lowered.graph
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    may_cross = dict(zip(lowered.tensors, problem.may_cross.tolist(), strict=True))
    return {
        "ops": [
            {"name": op.name, "kinds": op.kinds, "device_ns": device_ns, "server_ns": server_ns, "pinned": pinned}
            for op, device_ns, server_ns, pinned in zip(
                graph.ops, problem.device_ns.tolist(), problem.server_ns.tolist(), problem.pinned.tolist(), strict=True
            )
        ],
        "tensors": [
            {
                "name": tensor.name,
                "producer": -1 if tensor.producer is None else op_id[tensor.producer],
                "consumers": [op_id[name] for name in tensor.consumers],
                "wire_bytes": tensor.bytes,
                "shape": tensor.shape,
                "dtype": tensor.dtype,
                "may_cross": bool(may_cross.get(tensor.name, tensor.may_cross)),
                "is_output": tensor.is_output,
            }
            for tensor in graph.tensors
        ],
        "cuts": [np.flatnonzero(placement).tolist() for placement in placements],
        "member_of": compression.reduction.member_of.tolist(),
        "inputs": describe_inputs(traced.args, traced.kwargs),
    }


def _provenance(cost: Machine | Profile) -> dict[str, Any]:
    if isinstance(cost, Machine):
        return {"kind": "machine", "name": cost.name, "source": cost.source}
    return {"kind": "profile", "name": cost.host.processor, "digest": cost.digest, "date": cost.date}


def _weights_digest(traced: TracedModel) -> str:
    """SHA-256 over all weights, so that two files can be told to come from the same network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(traced.module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
