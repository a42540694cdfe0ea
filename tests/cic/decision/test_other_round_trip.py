"""With another usual round trip a model decides as the old one does when told."""

from __future__ import annotations

import pytest

from cic.decision.other_round_trip import with_round_trip
from cic.decision.splitting_model import SplittingModel


@pytest.mark.parametrize("rtt_s", [0.0, 0.05, 2.0])
def test_it_decides_as_if_told_the_round_trip(model: SplittingModel, rtt_s: float) -> None:
    changed = with_round_trip(model, rtt_s)
    for bandwidth in (6e4, 1e6, 3e6, 1e7, 1e8, 1e9):
        told = model.costs(changed.default_conditions(bandwidth))[0]
        decision = changed.decide(bandwidth)
        assert decision.conditions.rtt_s == rtt_s
        assert decision.latency_s == pytest.approx(told[0])
    assert changed.graph() is model.graph() and changed.cuts is model.cuts
