"""The quotient of a problem by its optimal placements keeps them all."""

from __future__ import annotations

import random

from benchmarks.decision.quotient import quotient
from benchmarks.harness.random_problems import network_shaped, price_box, to_problem, weights_inside
from benchmarks.harness.scaled_prices import scaled_prices
from mincut.lower_envelope import envelope
from mincut.network import build
from mincut.solver import solve


def test_the_quotient_keeps_every_placement_and_merges_all_else() -> None:
    rng = random.Random(22)
    for _ in range(60):
        problem = to_problem(network_shaped(rng, rng.randint(5, 80)))
        box = price_box(rng)
        found = envelope(problem, box)
        small = quotient(problem, found.placements)
        patterns = {tuple(side[op] for side in found.placements) for op in range(problem.op_count)}
        assert small.problem.op_count == len(patterns)
        network = build(problem)
        for _ in range(5):
            prices = scaled_prices(network, weights_inside(rng, box))
            assert solve(small.problem, prices).cost <= solve(network, prices).cost * (1 + 1e-7)
