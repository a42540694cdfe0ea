"""Splitting models from features alone, which come from no traced model: their graph is empty, their provenance made up."""

from __future__ import annotations

from collections.abc import Sequence

from cic.decision.break_points import break_points, line
from cic.decision.conditions import Box
from cic.decision.cut import Cut
from cic.decision.cut_table import CutTable
from cic.decision.proof import StoredProof
from cic.decision.provenance import MachineProvenance, Provenance
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_graph import StoredCall, StoredGraph

NO_CALL = StoredCall(
    structure={
        "kind": "dict",
        "keys": ["args", "kwargs"],
        "items": [{"kind": "tuple", "items": []}, {"kind": "dict", "keys": [], "items": []}],
    },
    tensors=(),
)


PROVED = StoredProof(complete=True, gap=0.0, solves=0, rays=())


def bare_model(
    name: str,
    features: Sequence[tuple[str, Sequence[int]]],
    box: Box,
    *,
    rtt_s: float = 0.0,
    downlink_ratio: float = 1.0,
    proof: StoredProof = PROVED,
) -> SplittingModel:
    """features: of each cut, by its id."""
    cuts = tuple(Cut(cut_id, amounts, lambda: ((), ())) for cut_id, amounts in features)
    points, best = break_points([line(cut.row, rtt_s, downlink_ratio, 1.0, 1.0) for cut in cuts], box.uplink_bps)
    table = CutTable(
        name=name,
        cuts=cuts,
        break_points=tuple(points),
        best_between=tuple(best),
        box=box,
        default_rtt_s=rtt_s,
        default_downlink_ratio=downlink_ratio,
        batch=None,
        information=provenance(0, 0),
        proof=proof,
        stream=None,
        few=None,
    )
    graph = StoredGraph(
        ops=(), tensors=(), cuts=((),) * len(cuts), alternatives=(), inputs=NO_CALL, calibration=None, limits=None
    )
    return SplittingModel(table, lambda: graph)


def provenance(ops: int, compressed_ops: int, said: str = "0") -> Provenance:
    """What a file says of where it comes from, made up; its texts are all `said`."""
    nothing = dict.fromkeys(("digest", "date", "engine", "warning"))
    machine = MachineProvenance(kind="machine", name=said, source=said, doubts=(), **nothing)
    return Provenance(
        cic=said,
        torch=said,
        date="2026-01-31",
        graph_digest=said,
        weights_digest=said,
        device=machine,
        server=machine,
        ops=ops,
        traced_nodes=ops,
        compressed_ops=compressed_ops,
        uncertainty=0.0,
        codecs=None,
        constraints=(),
        trace_s=0.0,
        measure_s=0.0,
        solve_s=0.0,
    )
