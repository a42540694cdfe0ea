"""A splitting model as if its usual round trip were another: the same cuts, and other break points."""

from __future__ import annotations

from cic.decision.break_points import break_points, line
from cic.decision.splitting_model import SplittingModel


def with_round_trip(model: SplittingModel, rtt_s: float) -> SplittingModel:
    """The model with `default_rtt_s` changed; what it is proved for stays the same."""
    table = model.table
    lines = [line(cut.row, rtt_s, table.default_downlink_ratio, 1.0, 1.0) for cut in table.cuts]
    points, best = break_points(lines, table.box.uplink_bps)
    changed = table.replaced(default_rtt_s=rtt_s, break_points=tuple(points), best_between=tuple(best))
    return SplittingModel(changed, model.graph, lambda: model.stored_codecs)
