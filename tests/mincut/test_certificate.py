"""The certificate accepts proofs and nothing else: every kind of damage is found."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, random_prices, small_problem, to_problem
from mincut.certificate import certify
from mincut.errors import CertificateError, InfeasibleError
from mincut.network import build
from mincut.problem import Prices
from mincut.solver import solve
from tests.oracles.brute_force import closed_sets


def test_no_other_placement_passes_with_the_same_flow() -> None:
    rng = random.Random(8)
    refused = 0
    for _ in range(200):
        plain, at = small_problem(rng, 6, amounts=[0, 1, 3, 50]), random_prices(rng)
        try:
            network = build(to_problem(plain))
        except InfeasibleError:
            continue
        placement = solve(network, at)
        sets = closed_sets(plain)
        for side in sets.on_device:
            features = network.problem.features(side)
            other = replace(placement, on_device=side, features=features, cost=features.cost(at))
            if other.cost == placement.cost:
                certify(network, other)  # equally cheap: equally optimal
                continue
            with pytest.raises(CertificateError, match="no proof"):
                certify(network, other)
            refused += 1
    assert refused > 500


@pytest.mark.parametrize("field", ["arc_flow", "terminal_flow"])
def test_a_flow_changed_in_one_place_is_refused(field: str) -> None:
    rng = random.Random(9)
    network = build(to_problem(network_shaped(rng, 60)))
    placement = solve(network, Prices(2, 3, 700, 300, 10**6))
    certify(network, placement)
    flow = getattr(placement, field)
    for index in range(0, len(flow), 3):
        for change in (-1, 1):
            damaged = flow.copy()
            damaged[index] += change
            with pytest.raises(CertificateError):
                certify(network, replace(placement, **{field: damaged}))


def test_a_placement_that_is_not_closed_is_refused() -> None:
    network = build(to_problem(network_shaped(random.Random(1), 30)))
    placement = solve(network, Prices(1, 1, 100, 100, 0))
    backwards = np.zeros_like(placement.on_device)
    backwards[-1] = True
    with pytest.raises(CertificateError, match="reads from op"):
        certify(network, replace(placement, on_device=backwards))


def test_a_wrong_cost_is_refused() -> None:
    network = build(to_problem(network_shaped(random.Random(1), 30)))
    placement = solve(network, Prices(1, 1, 100, 100, 0))
    with pytest.raises(CertificateError, match="claims"):
        certify(network, replace(placement, cost=placement.cost - 1))
