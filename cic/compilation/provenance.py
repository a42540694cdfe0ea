"""Where a splitting model comes from, collected while it is compiled: versions, digests, machines, counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import torch

from cic.cost.cost_source import CostSource
from cic.decision.provenance import CodecProvenance, Provenance
from cic.trace.traced import Traced
from cic.version import VERSION


def provenance_of(
    traced: Traced,
    costs: tuple[CostSource, CostSource],
    codecs: CodecProvenance | None,
    *,
    compressed_ops: int,
    constraints: Sequence[str],
    uncertainty: float,
    spent_s: tuple[float, float, float],
) -> Provenance:
    """costs: of device and server. spent_s: seconds of tracing, measuring and solving."""
    trace_s, measure_s, solve_s = (round(seconds, 3) for seconds in spent_s)
    return Provenance(
        cic=VERSION,
        torch=torch.__version__,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        graph_digest=traced.graph.digest,
        weights_digest=traced.weights_digest,
        device=costs[0].provenance(traced.graph, traced.runtime),
        server=costs[1].provenance(traced.graph, traced.runtime),
        ops=len(traced.graph.ops),
        traced_nodes=sum(len(op.members) for op in traced.graph.ops),
        compressed_ops=compressed_ops,
        uncertainty=float(uncertainty),
        codecs=codecs,
        constraints=tuple(constraints),
        trace_s=trace_s,
        measure_s=measure_s,
        solve_s=solve_s,
    )
