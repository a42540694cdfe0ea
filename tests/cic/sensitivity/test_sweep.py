"""A sweep holds the latencies of the cuts of its splitting model, and its best cuts are what `decide` answers."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.errors import InputError
from cic.sensitivity.sweep import FACTORS, swept
from tests.cic.hand_made import splitting_model


@pytest.fixture(scope="module")
def model() -> SplittingModel:
    return splitting_model(network_shaped(random.Random(1), 40), Box(device_slowdown=(0.5, 5)), 0.01, 2.0)


def test_the_best_cut_of_each_state_is_the_decided_one(model: SplittingModel) -> None:
    table = swept(model, usual_bps=2e7)
    assert table.proved and len(table.factors) == len(FACTORS)
    assert table.states[table.usual] == (20.0, 1.0, 1.0, 1.0)
    for state, row in random.Random(2).sample(list(zip(table.states, table.latency_s, strict=True)), 60):
        uplink, load, server, pressure = (float(level) for level in state)
        decision = model.decide(uplink * 1e6, device_slowdown=load * pressure, server_slowdown=server)
        assert decision.source == "table" and min(row) == pytest.approx(decision.latency_s)


def test_combinations_outside_the_box_are_left_out(model: SplittingModel) -> None:
    table = swept(model, device=(1, 4), memory=(1, 2))
    assert {(state[1], state[3]) for state in table.states} == {(1, 1), (1, 2), (4, 1)}
    with pytest.raises(InputError, match="outside what hand-made was compiled for: uplink"):
        swept(model, usual_bps=1e3)
