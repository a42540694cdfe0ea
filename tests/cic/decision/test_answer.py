"""An answer shows all that it is made of, and says when it is not proved."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from tests.cic.hand_made import splitting_model, unfinished


def test_terms_add_up_and_everything_can_be_shown(model: SplittingModel) -> None:
    for bandwidth in (1e5, 1e6, 1e7, 1e8, 1e9):
        decision = model.decide(bandwidth)
        assert sum(decision.terms.values()) == pytest.approx(decision.latency_s)
        assert decision.cut_id in decision.why
        assert decision.cut_id in repr(decision)
        assert decision.upload_bytes == decision.cut.features[2]
        assert set(decision.device_ops) <= {op.name for op in model.graph().ops}
        assert decision.conditions.uplink_bps == bandwidth
        assert decision.conditions.downlink_bps == 2 * bandwidth
        assert decision.terms["rtt_s"] in (0.0, 0.01)


def test_a_split_is_compared_with_the_better_side_alone(model: SplittingModel) -> None:
    for bandwidth in (1e5, 1e6, 1e7, 1e8, 1e9):
        decision = model.decide(bandwidth)
        alone = [cut for cut in model.cuts if cut.id in ("device-only", "server-only") and cut.id != decision.cut_id]
        lowest = min(cut.latency_s(decision.conditions) for cut in alone)
        assert f"{lowest / decision.latency_s:.2f}x as fast as " in decision.why
        assert ("the better side alone" in decision.why) == (len(alone) == 2)


def test_outside_the_box_is_always_said(model: SplittingModel) -> None:
    assert model.decide(1e6).outside == () and "outside" not in model.decide(1e6).why
    for decision in (model.decide(20.0), model.decide(1e6, rtt=40.0), model.decide(1e6, device_slowdown=100.0)):
        assert all(f"outside the box: {each}" in decision.why for each in decision.outside) and decision.outside


def test_an_unfinished_proof_is_not_called_optimal() -> None:
    model = unfinished(splitting_model(network_shaped(random.Random(1), 40), Box()))
    assert not model.decide(1e7).optimal
    assert not model.decide(1e7, rtt="20ms").optimal
