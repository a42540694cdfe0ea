"""Dropping implied arcs changes no minimum cut, and drops all that can go where it matters."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import random_prices, small_chain, small_problem, to_problem
from mincut import implied_arcs
from mincut.certificate import certify
from mincut.errors import InfeasibleError, MincutError
from mincut.implied_arcs import without_implied_arcs
from mincut.network import INFINITE, Network, build
from mincut.solver import solve


def violated(network: Network, source_side: np.ndarray) -> bool:
    tail = np.repeat(np.arange(network.node_count), np.diff(network.start))
    return bool(((network.arc_tensor == INFINITE) & source_side[tail] & ~source_side[network.arc_head]).any())


@pytest.mark.parametrize("window", [1, 3, 1024])
def test_the_same_cuts_stay_allowed_and_cost_the_same(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implied_arcs, "WINDOW", window)
    rng = random.Random(91)
    dropped = 0
    for index in range(1200):
        plain = (small_chain if index % 2 else small_problem)(rng, 12, amounts=[0, 1, 5, 10**6], stuck=0.1)
        problem, at = to_problem(plain), random_prices(rng)
        try:
            network = build(problem)
        except InfeasibleError:
            continue
        slim = without_implied_arcs(network)
        dropped += len(network.arc_head) - len(slim.arc_head)
        assert (slim.reverse[slim.reverse] == np.arange(len(slim.reverse))).all()
        for _ in range(20):
            side = np.array([rng.random() < 0.5 for _ in range(network.node_count)])
            assert violated(network, side) == violated(slim, side)
        try:
            expected = solve(network, at)
        except MincutError:
            continue
        found = solve(slim, at)
        certify(slim, found)
        assert found.cost == expected.cost
        assert (found.on_device == expected.on_device).all()
    assert dropped > (0 if window == 1 else 300)


def test_a_dense_block_keeps_two_arcs_a_tensor_and_not_two_a_reader() -> None:
    ops = 40
    tensors = [(-1, [0], 5, True)] + [(op, list(range(op + 1, ops)), 7, True) for op in range(ops - 1)]
    network = build(to_problem(PlainProblem([1] * ops, [1] * ops, [0] * ops, [0] * ops, tensors)))
    slim = without_implied_arcs(network)
    assert len(network.arc_head) > ops * (ops - 1)
    # Each shared tensor: its wire, the first reader to the producer, the gadget to the last reader; two entries a pair.
    assert len(slim.arc_head) <= 2 * 3 * ops
