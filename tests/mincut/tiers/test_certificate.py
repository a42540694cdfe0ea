"""The certificate for tiers accepts proofs and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.harness.random_tiers import random_tier_prices, small_tiers, to_tier_problem
from mincut.errors import CertificateError, InfeasibleError
from mincut.tiers import build_tiers, certify_tiers, solve_tiers


def test_no_dearer_placement_and_no_other_flow_passes() -> None:
    rng, refused = random.Random(3), 0
    for _ in range(25):
        plain, at = small_tiers(rng, 3, 4, amounts=[0, 1, 3, 50], with_codecs=True), random_tier_prices(rng, 3)
        try:
            network = build_tiers(to_tier_problem(plain))
        except InfeasibleError:
            continue
        placement = solve_tiers(network, at)
        for number in range(3 ** len(placement.tier)):
            tier = np.array([number // 3**op % 3 for op in range(len(placement.tier))], dtype=np.int64)
            features = network.problem.features(tier, placement.codecs)
            other = replace(placement, tier=tier, features=features, cost=features.cost(at))
            if network.problem.violation(tier) is None and other.cost == placement.cost:
                certify_tiers(network, other)
                continue
            with pytest.raises(CertificateError):
                certify_tiers(network, other)
            refused += 1
        for arc in range(len(placement.arc_flow)):
            damaged = placement.arc_flow.copy()
            damaged[arc] += 1
            with pytest.raises(CertificateError):
                certify_tiers(network, replace(placement, arc_flow=damaged))
    assert refused > 200


def test_a_wrong_claim_is_refused() -> None:
    network = build_tiers(to_tier_problem(small_tiers(random.Random(5), 3, 4, amounts=[1, 2], with_codecs=False)))
    placement = solve_tiers(network, random_tier_prices(random.Random(5), 3))
    with pytest.raises(CertificateError, match="claims"):
        certify_tiers(network, replace(placement, cost=placement.cost - 1))
    with pytest.raises(CertificateError, match="shape"):
        certify_tiers(network, replace(placement, tier=placement.tier[:-1]))
    with pytest.raises(CertificateError, match="is on tier 7"):
        certify_tiers(network, replace(placement, tier=placement.tier + 7))
