"""`decide` by energy is exact: it equals brute force over all closed sets, in the box and outside it."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy
from cic.decision.splitting_model import SplittingModel
from cic.errors import UnitError
from tests.cic.decision.brute_force import AMOUNTS, numbers
from tests.cic.hand_made import splitting_model
from tests.oracles.brute_force import closed_sets

USUAL = Energy(compute_w=4.2, send_w=3.1, receive_w=2.9, wait_w=2.4)


def drawn(rng: random.Random) -> Energy:
    compute_w, send_w, receive_w, wait_w = (10 ** rng.uniform(-1, 1) for _ in range(4))
    per_bit = rng.choice([0.0, 1e-7])
    return Energy(compute_w, send_w, receive_w, wait_w, rng.choice([0.0, 0.0, 1.0, 20.0]), per_bit, 0.3 * per_bit)


def lowest_cost(plain: PlainProblem, conditions: tuple[float, ...], objective: Energy) -> float:
    uplink, downlink, rtt, device, server = conditions
    on_device, up, on_server, down, trip = (power + objective.second_w for power in objective.powers(Conditions(*conditions)))
    prices = [device * 1e-9 * on_device, server * 1e-9 * on_server, 8 / uplink * up, 8 / downlink * down, rtt * trip]
    return float((closed_sets(plain).features @ np.array(prices)).min())


def test_it_equals_brute_force_over_all_closed_sets() -> None:
    rng, box, of_table = random.Random(50), Box(), 0
    for _ in range(120):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(10):
            conditions, objective = random_conditions(rng, box), drawn(rng)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server, objective=objective)
            of_table += decision.source == "table"
            cost = objective.cost(decision.cut, Conditions(*conditions))
            assert decision.optimal
            assert cost <= lowest_cost(plain, conditions, objective) * (1 + 1e-7) + 1e-15
    assert of_table > 600, "most are look-ups"


def test_equal_powers_give_the_decisions_of_latency(model: SplittingModel) -> None:
    for uplink in (1e5, 1e6, 1e7, 1e9):
        by_latency = model.decide(uplink)
        by_energy = model.decide(uplink, objective=Energy(3, 3, 3, 3))
        assert by_energy.cut is by_latency.cut and by_energy.source == "table"
        assert by_energy.energy_j == pytest.approx(3 * by_latency.latency_s)  # type: ignore[attr-defined]


def test_what_latency_is_worth_leads_from_least_energy_to_least_latency() -> None:
    rng, box, differ = random.Random(51), Box(), 0
    for _ in range(150):
        model = splitting_model(numbers(small_problem(rng, 8, amounts=AMOUNTS)), box)
        conditions = Conditions(*random_conditions(rng, box))
        uplink, downlink, rtt, device, server = conditions.numbers
        energies, latencies = [], []
        for worth in (0.0, 1.0, 10.0, 1e3, 1e7):
            objective = Energy(0.5, 6.0, 4.0, 0.3, worth)
            cut = model.decide(uplink, rtt, downlink, device, server, objective=objective).cut
            energies.append(objective.joules(cut, conditions))
            latencies.append(cut.latency_s(conditions))
        slack = 1 + 1e-6
        assert all(after >= before / slack for before, after in pairwise(energies))
        assert all(after <= before * slack for before, after in pairwise(latencies))
        assert latencies[-1] <= model.decide(uplink, rtt, downlink, device, server).latency_s * (1 + 1e-5)
        differ += energies[-1] > energies[0] * 1.01
    assert differ > 3


def test_an_answer_has_the_times_of_its_cut_and_says_why(model: SplittingModel) -> None:
    decision = model.decide("5Mbps", "20ms", objective=USUAL)
    assert decision.latency_s == pytest.approx(
        decision.cut.latency_s(Conditions("5Mbps", decision.conditions.downlink_bps, 0.02))
    )
    assert decision.conditions.rtt_s == 0.02 and decision.conditions.uplink_bps == 5e6
    assert " J" in decision.why and decision.cut.label in decision.why
    again = pickle.loads(pickle.dumps(decision))  # noqa: S301 - of this test's own making
    assert (again.cut_id, again.why, again.optimal) == (decision.cut_id, decision.why, decision.optimal)


def test_among_some_cuts_the_one_of_least_energy_is_chosen(model: SplittingModel) -> None:
    ids = [cut.id for cut in model.cuts]
    for chosen in (ids[:1], ids[-2:], ids):
        decision = model.decide("3Mbps", among=chosen, objective=USUAL)
        costs = [USUAL.joules(cut, decision.conditions) for cut in model.cuts if cut.id in chosen]
        assert USUAL.joules(decision.cut, decision.conditions) == pytest.approx(min(costs))


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), "4W", None])
def test_bad_powers_are_refused_by_name(bad: object) -> None:
    with pytest.raises(UnitError, match="send_w"):
        Energy(1, bad, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(UnitError, match="second_w"):
        Energy(1, 1, 1, 1, -1.0)
