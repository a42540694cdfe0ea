"""What the compiler found, as a `SplittingModel`: cuts get ids, numbers get names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from cic.compilation.lowering import Lowered
from cic.decision.break_points import break_points, line
from cic.decision.conditions import Box, Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut, details_of
from cic.decision.cut_table import CutTable
from cic.decision.proof import StoredProof
from cic.decision.provenance import Provenance
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import check_complete, needed_digests
from cic.decision.stored_graph import StoredCall, StoredForm, StoredGraph, StoredOp, StoredTensor
from cic.graph import Tensor
from cic.precision.accuracy import EXACT, Reached
from cic.precision.target_search import WithinTarget
from cic.precision.wire_form import WireForm
from mincut.bound_tree import keeps
from mincut.lower_envelope import Envelope
from mincut.network import build
from mincut.problem import MODEL_INPUT, BoolArray, IntArray


def assemble(
    lowered: Lowered,
    chosen: WithinTarget,
    box: Box,
    defaults: Conditions,
    inputs: StoredCall,
    information: Provenance,
    stored: Mapping[str, bytes] = MappingProxyType({}),
    batch: int | None = None,
) -> SplittingModel:
    """Put the pieces together; see `cic.compilation.pipeline.compile` for what they are.

    defaults: what `decide` assumes of rtt and downlink; of the bandwidths only their ratio counts.
    stored: contents that forms are made from, by their SHA-256; those that no decision can ask for are left out.
    batch: of the example, if it is open.

    Raises:
        ArtifactError: a cut has a codec whose content is not among these.
    """
    placements = _ordered_placements(lowered, chosen)
    graph = _stored_graph(lowered, placements, chosen, inputs)
    cuts = tuple(
        Cut(
            cut_id,
            lowered.problem.features(each.on_device, each.codec),
            details_of(lambda: graph, index),
            _codec_names(lowered, each),
            None if each.reached is None else {"top1": each.reached.top1, "error": each.reached.error},
        )
        for index, (cut_id, each) in enumerate(zip(_cut_ids(placements), placements, strict=True))
    )
    ratio = defaults.downlink_bps / defaults.uplink_bps
    points, best = break_points([line(cut.row, defaults.rtt_s, ratio, 1.0, 1.0) for cut in cuts], box.uplink_bps)
    table = CutTable(
        name=lowered.graph.name,
        cuts=cuts,
        break_points=tuple(points),
        best_between=tuple(best),
        box=box,
        default_rtt_s=defaults.rtt_s,
        default_downlink_ratio=ratio,
        batch=batch,
        information=information,
        proof=stored_proof(chosen.found),
        stream=None,
        few=None,
    )
    kept = {digest: stored[digest] for digest in sorted(needed_digests(table, graph)) if digest in stored}
    check_complete(kept, cuts, table.name)
    return SplittingModel(table, lambda: graph, lambda: kept)


def stored_proof(found: Envelope) -> StoredProof:
    """The proof of an envelope, as a file has it."""
    return StoredProof(
        complete=found.complete,
        gap=found.gap if isfinite(found.gap) else None,
        solves=found.solves,
        rays=tuple((*prices,) for prices in found.rays),
    )


class _Placed(NamedTuple):
    """A device side, the codec of each tensor, and what that reached on the calibration inputs if it was measured."""

    on_device: BoolArray
    codec: IntArray | None
    reached: Reached | None


def _ordered_placements(lowered: Lowered, chosen: WithinTarget) -> list[_Placed]:
    """All placements of the table, from least to most on the device; the two extremes are always among them."""
    problem, found = lowered.problem, chosen.found
    reached = chosen.reached or (None,) * len(found.placements)
    placements = [
        _Placed(side, codec, measured) for side, codec, measured in zip(found.placements, found.codecs, reached, strict=True)
    ]
    plain = None if problem.codecs is None else np.zeros(problem.tensor_count, dtype=np.int64)
    exact = EXACT if chosen.reached else None
    extremes = [build(problem).feasible, np.ones(problem.op_count, dtype=np.bool_)]
    sides = {placed.on_device.tobytes() for placed in placements}
    rows = [] if lowered.rows is None else lowered.rows(problem)
    placements += [
        _Placed(side, plain, exact)
        for side in extremes
        if side.tobytes() not in sides and problem.violation(side) is None and keeps(problem, rows, side, plain)
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


def _stored_graph(lowered: Lowered, placements: list[_Placed], chosen: WithinTarget, inputs: StoredCall) -> StoredGraph:
    """Ops, tensors and cuts in full."""
    problem, graph = lowered.problem, lowered.graph
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    forms = dict(zip(lowered.tensors, lowered.forms, strict=True)) if lowered.forms else {}
    may_cross = dict(zip(lowered.tensors, problem.may_cross.tolist(), strict=True))
    times = zip(graph.ops, problem.device_ns.tolist(), problem.server_ns.tolist(), problem.pinned.tolist(), strict=True)
    alternatives = chosen.alternatives if any(chosen.alternatives) else ()
    return StoredGraph(
        ops=tuple(
            StoredOp(name=op.name, kinds=tuple(op.kinds), device_ns=device_ns, server_ns=server_ns, pinned=pinned)
            for op, device_ns, server_ns, pinned in times
        ),
        tensors=tuple(
            _stored_tensor(tensor, op_id, bool(may_cross.get(tensor.name, tensor.may_cross)), forms.get(tensor.name, ()))
            for tensor in graph.tensors
        ),
        cuts=tuple(tuple(np.flatnonzero(placed.on_device).tolist()) for placed in placements),
        alternatives=tuple(tuple(sorted(forbidden)) for forbidden in alternatives),
        inputs=inputs,
        calibration=None,
        limits=lowered.limits,
    )


def _stored_tensor(tensor: Tensor, op_id: Mapping[str, int], may_cross: bool, forms: Sequence[WireForm]) -> StoredTensor:
    stored = (
        StoredForm(
            codec=form.codec,
            wire_bytes=form.features[0],
            encode_ns=form.features[1],
            decode_ns=form.features[2],
            error=form.error,
        )
        for form in forms
    )
    return StoredTensor(
        name=tensor.name,
        producer=MODEL_INPUT if tensor.producer is None else op_id[tensor.producer],
        consumers=tuple(op_id[name] for name in tensor.consumers),
        wire_bytes=tensor.bytes,
        shape=tuple(tensor.shape),
        dtype=tensor.dtype,
        may_cross=may_cross,
        is_output=tensor.is_output,
        forms=tuple(stored),
    )
