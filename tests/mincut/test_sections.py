"""Section by section one finds what a minimum cut of the whole finds, with a proof; and every part of the split is needed."""

from __future__ import annotations

import inspect
import random
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

import mincut.section_solver
import mincut.sections
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, random_prices, small_chain, small_problem, to_problem
from mincut.certificate import certify_sections
from mincut.codecs import make_codecs
from mincut.errors import CertificateError, InfeasibleError, MincutError
from mincut.network import smallest_device_side
from mincut.problem import MODEL_INPUT, Prices, Problem
from mincut.section_solver import solve_sections
from mincut.sections import Sections, cut_at_joints, find_joints
from mincut.solver import solve
from tests.draws import draws
from tests.oracles.brute_force import closed_sets
from tests.oracles.networkx_flow import cheapest

AMOUNTS = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9]


def chain_of_regions(rng: random.Random, most_ops: int) -> PlainProblem:
    """Joints with two ops or so between them, and tensors that jump joints or are read on both sides of one."""
    plain = small_chain(rng, most_ops, amounts=AMOUNTS, stuck=rng.choice([0, 0, 0.1, 0.4]))
    last = plain.op_count - 1
    for op in range(last):
        for _ in range(rng.choice([0, 0, 1, 2])):
            readers = sorted(rng.sample(range(op + 1, last + 1), min(last - op, rng.randint(1, 3))))
            plain.tensors.append((op, readers, rng.choice(AMOUNTS), rng.random() < 0.95))
    # Every now and then the link of the chain itself is missing, which makes two ops independent.
    for index in range(len(plain.tensors) - 1, -1, -1):
        if rng.random() < 0.3:
            del plain.tensors[index]
    return plain


def any_problem(rng: random.Random) -> PlainProblem:
    choice = rng.random()
    if choice < 0.2:
        return small_problem(rng, 9, amounts=AMOUNTS)
    return chain_of_regions(rng, 12)


def free_offloading(rng: random.Random) -> Prices:
    return random_prices(rng)._replace(offload=0)


def is_reached(problem: Problem) -> np.ndarray:
    """bool[n, n]: is there a path from the first op to the second, or are they the same?"""
    reached = np.eye(problem.op_count, dtype=np.bool_)
    for op in range(problem.op_count - 1, -1, -1):
        for tensor in np.flatnonzero(problem.producer == op):
            for reader in problem.readers(int(tensor)):
                reached[op] |= reached[reader]
    return reached


def test_joints_are_where_everything_after_depends_on_everything_before() -> None:
    rng, found = random.Random(91), 0
    for _ in range(1500):
        problem = to_problem(any_problem(rng))
        reached = is_reached(problem)
        expected = [place for place in range(1, problem.op_count) if reached[:place, place:].all()]
        assert find_joints(problem).tolist() == [0, *expected, problem.op_count]
        found += 0 < len(expected) < problem.op_count - 1
    assert found > 300


def test_between_layers_that_are_wired_all_to_all_there_is_a_joint() -> None:
    # Parallel branches that exchange their results now and then: no op depends on its neighbours in its layer.
    rng = random.Random(99)
    for width in (1, 2, 3, 5):
        layers, ops = 6, 6 * width
        tensors = [
            (op, [(op // width + 1) * width + other for other in range(width)], rng.randint(1, 9), True)
            for op in range(ops - width)
        ]
        plain = PlainProblem(
            [rng.randint(1, 99) for _ in range(ops)], [rng.randint(1, 99) for _ in range(ops)], [0] * ops, [0] * ops, tensors
        )
        sections = cut_at_joints(to_problem(plain))
        assert sections.joints.tolist() == [layer * width for layer in range(layers + 1)]
        for _ in range(30):
            prices = Prices(rng.randint(1, 9), rng.randint(1, 9), rng.randint(0, 99), 0, 0)
            assert_as_the_whole(sections.problem, sections, prices)


def known_cost(problem: Problem, sections: Sections, prices: Prices) -> int:
    return problem.features(sections.feasible).cost(prices)


def assert_as_the_whole(problem: Problem, sections: Sections, prices: Prices) -> None:
    known = known_cost(problem, sections, prices)
    whole = solve(problem, prices, known_cost=known)
    found = solve_sections(sections, prices, known)
    certify_sections(sections, found)
    assert found.cost == whole.cost
    assert found.features.cost(prices) == found.cost
    assert found.on_device.tolist() == whole.on_device.tolist()


def test_sections_answer_what_the_whole_answers() -> None:
    rng, solved = random.Random(92), 0
    while solved < draws(3000):
        problem, prices = to_problem(any_problem(rng)), free_offloading(rng)
        try:
            sections = cut_at_joints(problem)
        except InfeasibleError:
            continue
        solved += 1
        assert_as_the_whole(problem, sections, prices)


def test_sections_answer_what_brute_force_answers() -> None:
    rng, tested = random.Random(93), 0
    for _ in range(1500):
        plain, prices = any_problem(rng), free_offloading(rng)
        sets = closed_sets(plain)
        try:
            sections = cut_at_joints(to_problem(plain))
        except InfeasibleError:
            assert not len(sets.features)
            continue
        tested += 1
        found = solve_sections(sections, prices, known_cost(sections.problem, sections, prices))
        assert found.cost == min(sum(a * b for a, b in zip(row, prices, strict=True)) for row in sets.features.tolist())
    assert tested > 750


def test_long_networks_equal_networkx_and_have_small_sections() -> None:
    rng = random.Random(94)
    for ops in (30, 100, 400):
        plain = network_shaped(rng, ops)
        sections = cut_at_joints(to_problem(plain))
        assert np.bincount(sections.section).max() < 40
        for _ in range(3):
            prices = Prices(rng.randint(1, 50), rng.randint(1, 50), rng.randint(1, 10_000), rng.randint(1, 100), 0)
            found = solve_sections(sections, prices, known_cost(sections.problem, sections, prices))
            certify_sections(sections, found)
            assert found.cost == cheapest(plain, prices)


def test_tensors_with_several_codecs_cross_at_the_cheapest() -> None:
    rng, solved = random.Random(95), 0
    while solved < 500:
        plain = to_problem(any_problem(rng))
        rows = [
            [(size, 0, 0), *((rng.choice(AMOUNTS), rng.choice(AMOUNTS), rng.choice(AMOUNTS)) for _ in range(rng.randint(0, 2)))]
            for size in plain.wire_bytes.tolist()
        ]
        problem = replace(plain, codecs=make_codecs(rows))
        try:
            sections = cut_at_joints(problem)
        except InfeasibleError:
            continue
        solved += 1
        prices = free_offloading(rng)
        assert_as_the_whole(problem, sections, prices)


def test_costs_beyond_int64_in_some_section_do_not_wrap() -> None:
    # One link costs next to nothing, all others 2^47 bytes at 2^40 each; together they are far beyond 2^63.
    rng = random.Random(96)
    for ops in (3, 50, 500):
        cheap = rng.randrange(1, ops)
        plain = PlainProblem(
            [2**40 if op >= cheap else 1 for op in range(ops)],
            [2**40 if op < cheap else 1 for op in range(ops)],
            [0] * ops,
            [0] * ops,
            [(MODEL_INPUT, [0], 2**47, True)]
            + [(op, [op + 1], 1 if op + 1 == cheap else 2**47, True) for op in range(ops - 1)],
        )
        sections = cut_at_joints(to_problem(plain))
        prices = Prices(2**15, 2**15, 2**40, 0, 0)
        best = 2**15 * ops + 2**40
        found = solve_sections(sections, prices, best)
        certify_sections(sections, found)
        assert (found.cost, int(found.on_device.sum())) == (best, cheap)


def test_offload_prices_and_prices_out_of_range_are_refused() -> None:
    sections = cut_at_joints(to_problem(network_shaped(random.Random(1), 30)))
    for prices, known in ((Prices(1, 1, 1, 1, 1), 10), (Prices(1, -1, 1, 1, 0), 10)):
        with pytest.raises(MincutError, match="offload price 0"):
            solve_sections(sections, prices, known)
    with pytest.raises(MincutError, match="scale the prices down"):
        solve_sections(sections, Prices(1, 1, 1, 1, 0), 2**60)


def test_no_other_placement_passes_with_the_same_flow() -> None:
    rng, refused = random.Random(97), 0
    for _ in range(250):
        plain, prices = chain_of_regions(rng, 7), free_offloading(rng)
        try:
            sections = cut_at_joints(to_problem(plain))
        except InfeasibleError:
            continue
        placement = solve_sections(sections, prices, known_cost(sections.problem, sections, prices))
        for side in closed_sets(plain).on_device:
            features = sections.problem.features(side)
            other = replace(placement, on_device=side, features=features, cost=features.cost(prices))
            if other.cost == placement.cost:
                certify_sections(sections, other)
                continue
            with pytest.raises(CertificateError, match="no proof"):
                certify_sections(sections, other)
            refused += 1
    assert refused > 500


@pytest.mark.parametrize("field", ["arc_flow", "terminal_flow"])
def test_a_flow_changed_in_one_place_is_refused(field: str) -> None:
    sections = cut_at_joints(to_problem(network_shaped(random.Random(9), 60)))
    prices = Prices(2, 3, 700, 300, 0)
    placement = solve_sections(sections, prices, known_cost(sections.problem, sections, prices))
    flow = getattr(placement, field)
    for index in range(0, len(flow), 3):
        for change in (-1, 1, 2**61):
            damaged = flow.copy()
            damaged[index] += change
            with pytest.raises(CertificateError):
                certify_sections(sections, replace(placement, **{field: damaged}))
    with pytest.raises(CertificateError, match="offload price"):
        certify_sections(sections, replace(placement, prices=prices._replace(offload=1)))


@pytest.mark.parametrize(
    ("part", "replacement"),
    [
        ("between == ends * starts", "between >= starts"),
        ("between == ends * starts", "between >= ends"),
        ("first_reader[producer], ops)", "reader, ops)"),
        ("np.diff(wires, prepend=-1) > 0", "wires >= 0"),
        ("at_home, entering = reading == made[tensor]", "at_home, entering = reading >= made[tensor]"),
        ("(reading == read_last[tensor]) & ", ""),
        (" & (made < read_last)[tensor]", ""),
        ("np.where(~enters & (read_last > made)[whole], NOTHING, whole)", "whole"),
        ("sum_capped(on_device, sent, limit)", "on_device"),
        ("(made >= 0) & (read_last > made)", "read_last > made"),
        ("so_far - device + server", "so_far + server"),
        (" + server.sum(axis=1, keepdims=True)", ""),
        ("crossing = np.where(problem.may_cross, crossing, limit)", "pass"),
        ("on_device[problem.pinned == ON_SERVER] = limit", "pass"),
        ("on_server[problem.pinned == ON_DEVICE] = limit", "pass"),
        ("sum_capped(on_server, capped(problem.download_bytes, prices.download, limit), limit)", "on_server"),
        (" - total_at(sections.jump_end, halved, sections.count + 1)", ""),
        ("made[jumping] + 1", "made[jumping]"),
        ("read_last[jumping],", "read_last[jumping] + 1,"),
        ("paid = total_at(sections.section, halves(priced.constant), sections.count)", "paid = 0"),
        ("joined(paid + halves(priced.outside), priced.limit)", "joined(paid, priced.limit)"),
    ],
)
def test_a_part_left_out_is_caught(part: str, replacement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(mincut.sections)
    assert part in source, f"mincut/sections.py no longer contains {part!r}: update this test"
    mutant = types.ModuleType("mutant_of_sections")
    monkeypatch.setitem(sys.modules, mutant.__name__, mutant)
    exec(compile(source.replace(part, replacement), "mutant", "exec"), mutant.__dict__)
    monkeypatch.setattr(mincut.section_solver, "price_sections", mutant.price_sections)
    monkeypatch.setattr(mincut.section_solver, "class_costs", mutant.class_costs)
    rng = random.Random(98)
    for _ in range(2000):
        problem, prices = to_problem(any_problem(rng)), free_offloading(rng)
        try:
            feasible = smallest_device_side(problem)
        except InfeasibleError:
            continue
        known = problem.features(feasible).cost(prices)
        whole = solve(problem, prices, known_cost=known)
        try:
            found = solve_sections(mutant.cut_at_joints(problem), prices, known)
        except (MincutError, IndexError):
            return
        if (found.cost, found.on_device.tolist()) != (whole.cost, whole.on_device.tolist()):
            return
    pytest.fail("the mutant answered right 2,000 times")
