"""What a Pareto front says is proved holds against all closed sets, and all that is supported and covered is there."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy
from cic.decision.equivalent import covered_range
from cic.decision.pareto import ParetoFront, prices_of
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError
from tests.cic.decision.brute_force import AMOUNTS, numbers, priced
from tests.cic.hand_made import random_conditions, splitting_model, unfinished

USUAL = Energy(compute_w=0.5, send_w=6.0, receive_w=4.0, wait_w=0.3)


def asked(model: SplittingModel, names: tuple[str, str], conditions: Conditions, energy: Energy) -> ParetoFront:
    uplink, downlink, rtt, device, server = conditions.numbers
    return model.pareto(
        *names, bandwidth=uplink, rtt=rtt, downlink=downlink, device_slowdown=device, server_slowdown=server, energy=energy
    )


def all_values(plain: PlainProblem, names: tuple[str, str], conditions: Conditions, energy: Energy) -> np.ndarray:
    return np.stack([priced(plain, conditions, prices_of(name, energy, conditions)) for name in names], axis=1)


def test_no_closed_set_beats_what_is_proved_and_no_supported_one_is_missing() -> None:
    rng, box, proved, known, covered_weights = random.Random(80), Box(), 0, 0, 0
    for _ in range(80):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(5):
            conditions = Conditions(*random_conditions(rng, box))
            names = rng.choice([("latency", "energy"), ("energy", "latency"), ("latency", "upload"), ("server", "energy")])
            energy = Energy(*(10 ** rng.uniform(-1, 1) for _ in range(4)))
            front = asked(model, names, conditions, energy)
            values = all_values(plain, names, conditions, energy)
            for each in front:
                mine = np.array([each.values[name] for name in names])
                slack = 1e-6 * np.abs(mine) + 1e-12
                known += 1
                if each.proved:
                    proved += 1
                    assert not ((values < mine - slack).any(axis=1) & (values <= mine - slack * 1e-3).all(axis=1)).any()
            pairs = [[each.values[name] for name in names] for each in front]
            covered_weights += check_supported(pairs, values, names, conditions, energy, box)
    assert proved > 200 and known > proved and covered_weights > 500


def check_supported(
    pairs: list[list[float]], values: np.ndarray, names: tuple[str, str], conditions: Conditions, energy: Energy, box: Box
) -> int:
    """For each covered weight, the least sum of all closed sets is that of a cut of the front."""
    first, second = (prices_of(name, energy, conditions) for name in names)
    covered = covered_range(first, second, conditions, box)
    weights = [weight for weight in 10.0 ** np.arange(-6, 6.5, 0.5) if covered and covered[0] <= weight <= covered[1]]
    for weight in weights:
        sums = np.array(pairs) @ [1, weight]
        assert sums.min() <= (values @ [1, weight]).min() * (1 + 1e-6) + 1e-12
    return len(weights)


def test_a_front_falls_and_holds_no_cut_that_another_beats(model: SplittingModel) -> None:
    front = model.pareto("latency", "energy", bandwidth="100Mbps", energy=USUAL)
    latencies, energies = ([each.values[name] for each in front] for name in ("latency", "energy"))
    assert len(front) > 1 and latencies == sorted(latencies) and energies == sorted(energies, reverse=True)
    assert front.cuts[0].cut is model.decide("100Mbps").cut
    assert front.cuts[-1].cut is model.decide("100Mbps", objective=USUAL).cut
    assert front.cuts[0].proved and front.cuts[-1].proved and not front.complete
    assert not any(each.proved for each in asked(unfinished(model), ("latency", "energy"), front.conditions, USUAL))


def test_a_front_of_one_cut_that_is_best_by_both_is_complete(model: SplittingModel) -> None:
    front = model.pareto("latency", "energy", bandwidth="3Mbps", energy=Energy(2, 2, 2, 2))
    assert len(front) == 1 and front.complete and front.cuts[0].proved


@pytest.mark.parametrize(
    ("names", "energy", "said"),
    [
        (("latency", "energy"), None, "no powers are given"),
        (("latency", "power"), USUAL, "'power' is no sum"),
        (("upload", "upload"), USUAL, "name two sums that differ"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    model: SplittingModel, names: tuple[str, str], energy: Energy | None, said: str
) -> None:
    with pytest.raises(DecisionError, match=said):
        model.pareto(*names, bandwidth="3Mbps", energy=energy)
