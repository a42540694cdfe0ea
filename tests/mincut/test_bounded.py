"""The least of a row within bounds: against every placement counted, against HiGHS, and by its own certificate."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.harness.bounded_oracles import PlainRow, least_by_counting, least_by_highs
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_bounds import bounded_problem, loosest, to_rows
from benchmarks.harness.random_problems import network_shaped, to_problem
from mincut.bound_tree import Branch, Leaf
from mincut.bounded import solve_bounded
from mincut.bounded_certificate import certify_bounded, certify_infeasible
from mincut.errors import CertificateError, InfeasibleError, MincutError
from mincut.network import build
from mincut.rows import Row, combined, feature_rows, row_of
from tests.draws import draws


def test_random_problems_equal_every_placement_counted() -> None:
    rng, found, parted = random.Random(1501), 0, 0
    for _ in range(draws(2000)):
        plain, cost, bounds = bounded_problem(rng, 6)
        problem, rows = to_rows(plain, [cost, *(row for row, _ in bounds)])
        limits = [(row, most) for row, (_, most) in zip(rows[1:], bounds, strict=True)]
        expected = least_by_counting(plain, cost, bounds)
        try:
            network = build(problem)
        except InfeasibleError:
            assert expected is None
            continue
        try:
            answer = solve_bounded(network, rows[0], limits)
        except InfeasibleError as error:
            assert expected is None
            certify_infeasible(network, rows[0], limits, error.tree)
            continue
        assert answer.cost == answer.at_least == expected
        certify_bounded(network, rows[0], limits, answer)
        found += 1
        parted += len(answer.tree) > 1
    assert found > draws(2000) / 2
    assert parted > draws(2000) / 20, "multipliers alone rarely leave a gap"


def test_problems_shaped_like_networks_equal_highs() -> None:
    rng = random.Random(1502)
    for ops in (20, 40, 60, 90):
        plain = network_shaped(rng, ops)
        plain = replace(plain, tensors=[tensor for tensor in plain.tensors if tensor[1]])
        upload = [[size] for _, _, size, _ in plain.tensors]
        cost = PlainRow(plain.device_ns, plain.server_ns, [[80 * size[0]] for size in upload], 1000)
        nothing = [0] * plain.op_count
        weights = PlainRow([rng.randint(0, 10_000) for _ in nothing], nothing, [[0] for _ in upload])
        sent = PlainRow(nothing, nothing, upload)
        bounds = [(weights, sum(weights.on_device) // 3), (sent, loosest(upload) // 2)]
        problem, rows = to_rows(plain, [cost, weights, sent])
        limits = [(rows[1], bounds[0][1]), (rows[2], bounds[1][1])]
        expected = least_by_highs(plain, cost, bounds)
        network = build(problem)
        if expected is None:
            with pytest.raises(InfeasibleError):
                solve_bounded(network, rows[0], limits)
            continue
        answer = solve_bounded(network, rows[0], limits)
        certify_bounded(network, rows[0], limits, answer)
        assert answer.cost == answer.at_least == round(expected)


def chain() -> tuple[PlainProblem, list[Row]]:
    """Three ops in a row: the device is slow and holds 5 + 7 + 9 bytes; each tensor weighs less than the one before."""
    plain = PlainProblem(
        [4, 5, 6], [1, 1, 1], [0, 0, 1], [0, 0, 0], [(-1, [0], 90, True), (0, [1], 30, True), (1, [2], 3, True)]
    )
    problem = to_problem(plain)
    device, server, upload, *_ = feature_rows(problem)
    weights = row_of(problem, "weights", on_device=np.array([5, 7, 9]))
    return plain, [combined("cost", [device, server, upload], [1, 1, 1]), upload, weights]


@pytest.mark.parametrize(
    ("most_upload", "most_weights", "on_device"),
    [(90, 21, [1, 1, 0]), (90, 11, [1, 0, 0]), (90, 4, [0, 0, 0]), (2, 21, [1, 1, 1]), (29, 12, [1, 1, 0])],
)
def test_bounds_take_the_placement_along(most_upload: int, most_weights: int, on_device: list[int]) -> None:
    plain, (cost, upload, weights) = chain()
    answer = solve_bounded(to_problem(plain), cost, [(upload, most_upload), (weights, most_weights)])
    assert answer.on_device.astype(int).tolist() == on_device


def test_bounds_that_contradict_are_said_and_proved() -> None:
    plain, (cost, upload, weights) = chain()
    limits = [(upload, 2), (weights, 20)]
    with pytest.raises(InfeasibleError, match="upload_bytes at most 2, weights at most 20") as caught:
        solve_bounded(to_problem(plain), cost, limits)
    network = build(to_problem(plain))
    certify_infeasible(network, cost, limits, caught.value.tree)
    with pytest.raises(CertificateError, match="leaves room"):
        certify_infeasible(network, cost, [(upload, 3), (weights, 20)], caught.value.tree)


def test_a_bound_below_zero_allows_nothing() -> None:
    plain, (cost, upload, _) = chain()
    with pytest.raises(InfeasibleError):
        solve_bounded(to_problem(plain), cost, [(upload, -1)])


def test_a_budget_that_runs_out_leaves_a_bound_that_is_true() -> None:
    rng, open_ones = random.Random(1503), 0
    for _ in range(300):
        plain, cost, bounds = bounded_problem(rng, 7)
        problem, rows = to_rows(plain, [cost, *(row for row, _ in bounds)])
        limits = [(row, most) for row, (_, most) in zip(rows[1:], bounds, strict=True)]
        try:
            answer = solve_bounded(problem, rows[0], limits, most_cuts=2)
        except InfeasibleError:
            continue
        except MincutError as error:
            assert "allow more" in str(error)
            continue
        certify_bounded(build(problem), rows[0], limits, answer)
        expected = least_by_counting(plain, cost, bounds)
        assert expected is not None and answer.at_least <= expected <= answer.cost
        open_ones += answer.at_least < answer.cost
    assert open_ones > 3


def test_costs_of_any_size_are_solved_up_to_a_gap_that_is_told() -> None:
    rng, tight = random.Random(1504), 0
    for _ in range(60):
        plain, cost, bounds = bounded_problem(rng, 5)
        unit = 2**58 // (1 + max([*cost.on_device, *cost.on_server, *(entry for each in cost.crossing for entry in each)]))
        large = PlainRow(
            [unit * entry + rng.randint(0, 99) for entry in cost.on_device],
            [unit * entry for entry in cost.on_server],
            [[unit * entry for entry in each] for each in cost.crossing],
            unit * cost.once,
        )
        expected = least_by_counting(plain, large, bounds)
        if expected is None:
            continue
        problem, rows = to_rows(plain, [large, *(row for row, _ in bounds)])
        limits = [(row, most) for row, (_, most) in zip(rows[1:], bounds, strict=True)]
        answer = solve_bounded(problem, rows[0], limits)
        certify_bounded(build(problem), rows[0], limits, answer)
        assert answer.at_least <= expected <= answer.cost <= expected * (1 + 1e-12)
        tight += 1
    assert tight > 20


def test_the_certificate_finds_what_is_wrong() -> None:
    rng = random.Random(1505)
    while True:
        plain, cost, bounds = bounded_problem(rng, 6)
        problem, rows = to_rows(plain, [cost, *(row for row, _ in bounds)])
        limits = [(row, most) for row, (_, most) in zip(rows[1:], bounds, strict=True)]
        try:
            network = build(problem)
            answer = solve_bounded(network, rows[0], limits)
        except InfeasibleError:
            continue
        leaves = [index for index, node in enumerate(answer.tree) if isinstance(node, Leaf)]
        if len(leaves) > 2 and answer.cost > 10 and any(leaf.arc_flow.any() for leaf in map(answer.tree.__getitem__, leaves)):
            break
    with pytest.raises(CertificateError, match="proves a cost of at least"):
        certify_bounded(network, rows[0], limits, replace(answer, at_least=answer.cost + 1))
    with pytest.raises(CertificateError, match="it claims"):
        certify_bounded(network, rows[0], limits, replace(answer, cost=answer.cost - 1))
    with pytest.raises(CertificateError, match="its bound is"):
        certify_bounded(network, rows[0], [(row, -1) for row, _ in limits], answer)
    loop = [Branch(0, None, (0, 0))]
    with pytest.raises(CertificateError, match="circle"):
        certify_bounded(network, rows[0], limits, replace(answer, tree=tuple(loop)))
    for index in leaves:
        leaf = answer.tree[index]
        assert isinstance(leaf, Leaf)
        wrong = list(answer.tree)
        wrong[index] = replace(leaf, value=leaf.value + 1)
        with pytest.raises(CertificateError):
            certify_bounded(network, rows[0], limits, replace(answer, tree=tuple(wrong)))
