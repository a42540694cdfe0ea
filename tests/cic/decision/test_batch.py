"""`decide` for a batch is exact: it equals brute force over all closed sets with amounts so many times as large."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem
from cic.decision.batch import LARGEST_BATCH
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.errors import ArtifactError, DecisionError
from tests.cic.decision.brute_force import AMOUNTS, numbers
from tests.cic.hand_made import changed, splitting_model
from tests.oracles.brute_force import closed_sets

ONES = Energy(1, 1, 1, 1)


def lowest_cost(plain: PlainProblem, conditions: tuple[float, ...], ratio: float, objective: Energy = ONES) -> float:
    """All amounts grow, the round trip does not."""
    uplink, downlink, rtt, device, server = conditions
    on_device, up, on_server, down, trip = objective.powers(Conditions(*conditions))
    growing = [device * 1e-9 * on_device, server * 1e-9 * on_server, 8 / uplink * up, 8 / downlink * down]
    prices = [*(ratio * price for price in growing), rtt * trip]
    return float((closed_sets(plain).features @ np.array(prices)).min())


@pytest.mark.parametrize("low_rtt", [0.0, 0.1])
def test_it_equals_brute_force_over_all_closed_sets(low_rtt: float) -> None:
    rng, box, of_table, differ = random.Random(60), Box(rtt=(low_rtt, 0.5)), 0, 0
    for _ in range(60):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        compiled = rng.choice([1, 2, 4])
        model = changed(splitting_model(plain, box, low_rtt), batch=compiled)
        for batch in (1, 3, 16, 1000):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server, batch=batch)
            of_table += decision.source == "table"
            differ += decision.cut is not model.decide(uplink, rtt, downlink, device, server).cut
            assert decision.optimal
            assert decision.latency_s <= lowest_cost(plain, conditions, batch / compiled) * (1 + 1e-7) + 1e-15
    assert of_table > 100
    assert differ > 5, "the batch decides, too"


def test_least_energy_of_a_batch_equals_brute_force() -> None:
    rng, box = random.Random(61), Box()
    objective = Energy(4.2, 3.1, 2.9, 0.4)
    for _ in range(40):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = changed(splitting_model(plain, box), batch=2)
        for batch in (1, 3, 16):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server, objective=objective, batch=batch)
            lowest = lowest_cost(plain, conditions, batch / 2, objective)
            assert decision.energy_j == pytest.approx(lowest, rel=1e-6, abs=1e-15)  # type: ignore[attr-defined]


def test_a_limit_is_that_of_the_whole_batch(model: SplittingModel) -> None:
    opened, energy = changed(model, batch=2), Energy(0.5, 6.0, 4.0, 0.3)
    fastest = opened.decide("100Mbps", batch=6)
    kept = opened.decide("100Mbps", batch=6, objective=energy.with_deadline(fastest.latency_s * 1.0001))
    assert kept.cut is fastest.cut and kept.latency_s == fastest.latency_s
    frugal = opened.decide("100Mbps", batch=6, objective=energy)
    assert frugal.energy_j < kept.energy_j  # type: ignore[attr-defined]
    budget = energy.with_budget(frugal.energy_j * 1.0001)  # type: ignore[attr-defined]
    assert opened.decide("100Mbps", batch=6, objective=budget).cut is frugal.cut
    with pytest.raises(DecisionError, match="keeps to"):
        opened.decide("100Mbps", batch=6, objective=energy.with_deadline(fastest.latency_s * 0.999))


def test_the_compiled_batch_gives_the_decision_without_one(model: SplittingModel) -> None:
    opened = changed(model, batch=4)
    for uplink in (1e5, 1e6, 1e7, 1e9):
        plain, same = opened.decide(uplink), opened.decide(uplink, batch=4)
        assert same.cut is plain.cut and same.terms == plain.terms and same.upload_bytes == plain.upload_bytes


def test_times_and_bytes_grow_and_the_round_trip_does_not(model: SplittingModel) -> None:
    opened = changed(model, batch=1)
    decision = opened.decide("5Mbps", "20ms", batch=8, among=["server-only"])
    one = decision.cut.terms(Conditions("5Mbps", "10Mbps", 0.02))
    assert list(decision.terms.values()) == pytest.approx([8 * one[0], 8 * one[1], 8 * one[2], 8 * one[3], one[4]])
    assert decision.latency_s == pytest.approx(sum(decision.terms.values()))
    assert (decision.upload_bytes, decision.download_bytes) == (8 * decision.cut.upload_bytes, 8 * decision.cut.download_bytes)
    assert decision.conditions.rtt_s == 0.02
    assert "batch 8, its times taken as 8x those of batch 1" in decision.why
    again = pickle.loads(pickle.dumps(decision))  # noqa: S301 - of this test's own making
    assert (again.why, again.optimal, again.terms) == (decision.why, decision.optimal, decision.terms)


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "8", LARGEST_BATCH + 1])
def test_what_is_no_batch_is_refused(model: SplittingModel, bad: object) -> None:
    with pytest.raises(DecisionError, match="the batch is"):
        changed(model, batch=1).decide(1e6, batch=bad)  # type: ignore[arg-type]


def test_a_batch_of_a_model_with_fixed_shapes_is_refused(model: SplittingModel) -> None:
    with pytest.raises(DecisionError, match="was compiled with fixed shapes; compile it with an open batch"):
        model.decide(1e6, batch=8)


def test_the_batch_is_in_the_file_and_only_where_it_is_open(model: SplittingModel) -> None:
    opened = changed(model, batch=4)
    assert loads(dumps(opened)).table.batch == 4
    assert loads(dumps(model)).table.batch is None
    assert len(dumps(model).splitlines()[1]) < len(dumps(opened).splitlines()[1])
    for wrong in (0, -1, "4", LARGEST_BATCH + 1):
        with pytest.raises(ArtifactError, match="the batch is"):
            changed(model, batch=wrong)
