"""What the compiler found, as a `SplittingModel`: cuts get ids, numbers get names, provenance is written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import torch

import cic
from cic.compilation.lowering import Lowered
from cic.cost.cost_source import CostSource
from cic.decision.break_points import break_points, line
from cic.decision.cic_file import details_of
from cic.decision.conditions import Box, Conditions
from cic.decision.splitting_model import DEVICE_ONLY, SERVER_ONLY, Cut, SplittingModel
from cic.inputs.example_inputs import describe_inputs
from cic.precision.accuracy import EXACT, Reached
from cic.precision.target_search import Forbidden, WithinTarget
from cic.trace.fx.torch_trace import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from compress.schedule import Compression
from mincut.network import build
from mincut.problem import BoolArray, IntArray


def assemble(
    traced: TracedModel | OnnxModel,
    lowered: Lowered,
    compression: Compression,
    chosen: WithinTarget,
    box: Box,
    defaults: Conditions,
    costs: tuple[CostSource, CostSource],
    uncertainty: float,
    accuracy: dict[str, Any],
    seconds_spent: dict[str, float],
) -> SplittingModel:
    """Put the pieces together; see `cic.compilation.pipeline.compile` for what they are."""
    found = chosen.found
    placements = _ordered_placements(lowered, compression, chosen)
    document = _graph_document(traced, lowered, compression, placements, chosen.alternatives)
    cuts = [
        Cut(
            cut_id,
            lowered.problem.features(each.on_device, each.codec),
            details_of(lambda: document, index),
            _codec_names(lowered, each),
            None if each.reached is None else {"top1": each.reached.top1, "error": each.reached.error},
        )
        for index, (cut_id, each) in enumerate(zip(_cut_ids(placements), placements, strict=True))
    ]
    ratio = defaults.downlink_bps / defaults.uplink_bps
    runtime = "onnxruntime" if isinstance(traced, OnnxModel) else "torch"
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
            "weights_digest": traced.weights_digest,
            "device": costs[0].provenance(traced.graph, runtime),
            "server": costs[1].provenance(traced.graph, runtime),
            "ops": len(traced.graph.ops),
            "traced_nodes": sum(len(op.members) for op in traced.graph.ops),
            "compressed_ops": compression.reduction.problem.op_count,
            "merged_by_rule": dict(compression.merged),
            "uncertainty": uncertainty,
            **accuracy,
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


class _Placed(NamedTuple):
    """A device side, the codec of each tensor, and what that reached on the calibration inputs if it was measured."""

    on_device: BoolArray
    codec: IntArray | None
    reached: Reached | None


def _ordered_placements(lowered: Lowered, compression: Compression, chosen: WithinTarget) -> list[_Placed]:
    """All placements of the table, from least to most on the device; the two extremes are always among them."""
    problem, found = lowered.problem, chosen.found
    reached = chosen.reached or (None,) * len(found.placements)
    placements = [
        _Placed(compression.reduction.lift(side), codec, measured)
        for side, codec, measured in zip(found.placements, found.codecs, reached, strict=True)
    ]
    plain = None if problem.codecs is None else np.zeros(problem.tensor_count, dtype=np.int64)
    exact = EXACT if chosen.reached else None
    extremes = [build(problem).feasible, np.ones(problem.op_count, dtype=np.bool_)]
    sides = {placed.on_device.tobytes() for placed in placements}
    placements += [
        _Placed(side, plain, exact) for side in extremes if side.tobytes() not in sides and problem.violation(side) is None
    ]
    distinct = {(placed.on_device.tobytes(), _codec_names(lowered, placed)): placed for placed in placements}
    order = sorted(distinct, key=lambda key: (int(distinct[key].on_device.sum()), *key))
    return [distinct[key] for key in order]


def _codec_names(lowered: Lowered, placed: _Placed) -> tuple[str, ...]:
    """The codec of each crossing tensor, in the problem's order; empty if tensors have no codecs."""
    if placed.codec is None:
        return ()
    crossing = np.flatnonzero(lowered.problem.crossing(placed.on_device)).tolist()
    return tuple(lowered.forms[tensor][placed.codec[tensor]].codec for tensor in crossing)


def _cut_ids(placements: list[_Placed]) -> list[str]:
    """One id for each device side."""
    number = {side: index for index, side in enumerate(dict.fromkeys(placed.on_device.tobytes() for placed in placements))}
    ids = []
    for placed in placements:
        if placed.on_device.all():
            ids.append(DEVICE_ONLY)
        elif not placed.on_device.any():
            ids.append(SERVER_ONLY)
        else:
            ids.append(f"cut-{number[placed.on_device.tobytes()]:02d}")
    return ids


def _graph_document(
    traced: TracedModel | OnnxModel,
    lowered: Lowered,
    compression: Compression,
    placements: list[_Placed],
    alternatives: Sequence[Forbidden],
) -> dict[str, Any]:
    """Ops, tensors and cuts in full, as plain JSON values; ids are positions in these lists, producer -1 is the caller.

    A tensor's forms are (codec, wire bytes, ns to encode, ns to decode, error). Alternatives count only tensors that are read.
    """
    problem, graph = lowered.problem, lowered.graph
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    forms = {
        name: {"forms": [[form.codec, *form.features, form.error] for form in each]}
        for name, each in zip(lowered.tensors, lowered.forms, strict=bool(lowered.forms))
    }
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
                **forms.get(tensor.name, {}),
            }
            for tensor in graph.tensors
        ],
        "cuts": [np.flatnonzero(placed.on_device).tolist() for placed in placements],
        "alternatives": [sorted(forbidden) for forbidden in alternatives] if any(alternatives) else [],
        "member_of": compression.reduction.member_of.tolist(),
        "inputs": describe_inputs(traced.args, traced.kwargs),
    }
