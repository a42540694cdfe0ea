"""Does a reduced problem have the same optimum as the whole one?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from benchmarks.harness.random_problems import weights_inside
from benchmarks.harness.scaled_prices import scaled_prices
from mincut.lower_envelope import PriceBox
from mincut.network import Network
from mincut.problem import Problem
from mincut.solver import solve
from tests.compress.drawn import forbidding
from tests.compress.mutants import Compressor


def is_exact(
    compressor: Compressor,
    network: Network,
    box: PriceBox,
    uncertainty: Fraction,
    rules: Mapping[str, Any],
    rng: random.Random,
    merged: Counter[str],
    *,
    looks: int = 6,
    idle_looks: int = 1,
) -> bool:
    """Does the reduced problem have the same optimum, at the prices and op times that are hardest on it?

    merged: counts what each rule merged. looks: at how many prices; idle_looks: where nothing merged, so that there is little
    to see.

    Raises:
        AssertionError: what the reduced problem says of a placement is not what the whole problem says.
    """
    problem = network.problem
    alternatives = forbidding(problem, rng)
    bounds = compressor.bounds.Bounds(box, uncertainty)
    compression, parts = compressor.schedule.compress_together(problem, alternatives, bounds, rules=rules)
    merged.update(compression.merged)
    member_of = compression.reduction.member_of
    for _ in range(looks if sum(compression.merged.values()) else idle_looks):
        moved = perturbed(problem, uncertainty, rng)
        profiles = [replace(moved, codecs=each.codecs) for each in alternatives or [problem]]
        prices = scaled_prices(network, weights_inside(rng, box))
        optimum, smallest = None, None
        for place, profile in enumerate(profiles):
            small = compressor.reduction.contract(profile, member_of)
            if not uncertainty:
                # As the compiler uses it: the problem from one reduction, the way back from another.
                reduced = parts[place] if alternatives else compression.reduction.problem
                small = replace(compression.reduction, problem=reduced)
            best, reduced = solve(profile, prices), solve(small.problem, prices)
            lifted, codec = small.lift(reduced.on_device), small.lift_codecs(reduced.codec)
            assert profile.violation(lifted) is None
            assert profile.features(lifted, codec).cost(prices) == reduced.cost
            optimum = best.cost if optimum is None else min(optimum, best.cost)
            smallest = reduced.cost if smallest is None else min(smallest, reduced.cost)
        assert optimum is not None and smallest is not None
        # Prices are rounded to about nine digits, so a rule that is exact in the box may lose that much at its edge.
        if smallest > optimum * (1 + 1e-7):
            return False
    return True


def perturbed(problem: Problem, uncertainty: Fraction, rng: random.Random) -> Problem:
    """Op times moved by up to the uncertainty, most of them all the way; towards zero, so as to stay inside."""
    if not uncertainty:
        return problem

    def moved(times: np.ndarray) -> np.ndarray:
        return np.array([int(time * (1 + rng.choice([-1, 1, 0]) * uncertainty)) for time in times.tolist()], dtype=np.int64)

    return replace(problem, device_ns=moved(problem.device_ns), server_ns=moved(problem.server_ns))
