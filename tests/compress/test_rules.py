"""Every rule keeps the optimum, alone and in any order, for all prices and profiles in its bounds; and each condition in a
rule is needed: leaving one out is noticed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, price_box, small_chain, small_problem, to_problem, weights_inside
from benchmarks.harness.scaled_prices import scaled_prices
from compress.bounds import Bounds
from compress.errors import NotExactError
from compress.reduction import contract
from compress.schedule import RULES, Rule, compress
from mincut.errors import InfeasibleError, MincutError
from mincut.lower_envelope import PriceBox
from mincut.network import build
from mincut.problem import Problem
from mincut.solver import solve
from tests.draws import draws

ONE = (Fraction(1), Fraction(1))
LINK_ONLY = PriceBox(ONE, ONE, (Fraction(1, 100), Fraction(10**4)), ONE)
AMOUNTS = [0, 1, 2, 7, 100, 12_345, 10**6]


def any_problem(rng: random.Random, most_ops: int) -> Problem:
    if rng.random() < 0.2:
        return to_problem(network_shaped(rng, rng.randint(3, 2 * most_ops)))
    make = rng.choice([small_problem, small_chain])
    return to_problem(make(rng, most_ops, amounts=AMOUNTS, stuck=rng.choice([0, 0.05, 0.5])))


def is_exact(problem: Problem, bounds: Bounds, rules: Mapping[str, Rule], rng: random.Random, merged: Counter[str]) -> bool:
    """Does the reduced problem have the same optimum, at the prices and op times that are hardest on it?"""
    network = build(problem)
    compression = compress(problem, bounds, rules=rules)
    merged.update(compression.merged)
    for _ in range(6):
        profile = perturbed(problem, bounds.uncertainty, rng)
        small = contract(profile, compression.reduction.member_of)
        prices = scaled_prices(network, weights_inside(rng, bounds.box))
        best, reduced = solve(profile, prices), solve(small.problem, prices)
        lifted = compression.reduction.lift(reduced.on_device)
        assert profile.violation(lifted) is None
        assert profile.features(lifted).cost(prices) == reduced.cost
        # Prices are rounded to about nine digits, so a rule that is exact in the box may lose that much at its edge.
        if reduced.cost > best.cost * (1 + 1e-7):
            return False
    return True


def perturbed(problem: Problem, uncertainty: Fraction, rng: random.Random) -> Problem:
    """Op times moved by up to the uncertainty, most of them all the way; towards zero, so as to stay inside."""

    def moved(times: np.ndarray) -> np.ndarray:
        return np.array([int(time * (1 + rng.choice([-1, 1, 0]) * uncertainty)) for time in times.tolist()], dtype=np.int64)

    return replace(problem, device_ns=moved(problem.device_ns), server_ns=moved(problem.server_ns))


def exercise(
    rules: Mapping[str, Rule] | None,
    rounds: int,
    seed: int,
    uncertainty: Fraction,
    most_ops: int = 14,
    until_wrong: bool = False,
) -> tuple[int, Counter[str]]:
    """Run rules over many problems; returns how often they lost the optimum, and what they merged."""
    rng, merged, wrong = random.Random(seed), Counter[str](), 0
    for _ in range(rounds):
        problem = any_problem(rng, most_ops)
        box = LINK_ONLY if rng.random() < 0.5 else price_box(rng)
        chosen = rules or dict(rng.sample(list(RULES.items()), rng.randint(1, len(RULES))))
        try:
            build(problem)
        except InfeasibleError:
            continue
        wrong += not is_exact(problem, Bounds(box, uncertainty), chosen, rng, merged)
        if wrong and until_wrong:
            break
    return wrong, merged


@pytest.mark.parametrize("uncertainty", [Fraction(0), Fraction(1, 10)])
@pytest.mark.parametrize("name", RULES)
def test_each_rule_alone_keeps_the_optimum(name: str, uncertainty: Fraction) -> None:
    wrong, merged = exercise({name: RULES[name]}, draws(500), 1, uncertainty)
    assert wrong == 0
    assert merged[name] > 20, "the rule must have had something to do"


def test_random_sequences_of_rules_keep_the_optimum() -> None:
    wrong, merged = exercise(None, draws(1000), 2, Fraction(0))
    assert wrong == 0
    assert set(merged) == set(RULES)


def break_condition(name: str, source_line: str, replacement: str) -> Rule:
    """The rule's own source with one condition changed."""
    import importlib
    import inspect
    import types

    module = importlib.import_module(f"compress.rules.{name}")
    source = inspect.getsource(module)
    assert source.count(source_line) >= 1, f"{name} no longer contains {source_line!r}: update this test"
    mutant = types.ModuleType(f"mutant_of_{name}")
    exec(compile(source.replace(source_line, replacement), module.__file__ or name, "exec"), mutant.__dict__)
    rule: Rule = mutant.label
    return rule


@pytest.mark.parametrize(
    ("name", "source_line", "replacement", "first"),
    [
        ("expand", "bounds.device_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True", 1),
        ("expand", " & (wires.own_bytes <= wires.made_bytes)", "", 0),
        ("expand", " & (problem.download_bytes == 0)", "", 0),
        ("expand", "wires.own_may_cross & ", "", 8),
        ("expand", " & (problem.pinned != ON_DEVICE)", "", 1),
        ("shrink", "bounds.server_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True", 0),
        ("shrink", " & (wires.made_bytes <= wires.made_bytes[producer])", "", 2),
        ("shrink", " & (wires.only_reader[producer] == ops)", "", 28),
        ("shrink", " & (problem.pinned != ON_SERVER)", "", 3),
        ("shrink", "wires.made_may_cross & ", "", 17),
        ("heavy", "is_free(device_ns, server_ns, more_bytes, ", "is_free(device_ns, server_ns, more_bytes, 0 * ", 0),
        ("heavy", "server_is_free(device_ns, server_ns", "server_is_free(device_ns, 0 * server_ns", 1),
        ("heavy", "device_is_free(device_ns", "device_is_free(0 * device_ns", 0),
        ("heavy", "device_is_free(device_ns, server_ns, more_bytes", "device_is_free(device_ns, server_ns, 0 * more_bytes", 1),
        ("heavy", " & wires.own_may_cross", "", 2),
        ("heavy", " & wires.made_may_cross", "", 7),
        ("block", "return _fewest_bytes(problem, inside, before, gate) ==", "return True or 0 ==", 28),
        ("block", "bounds.device_is_never_faster(problem.device_ns[may], problem.server_ns[may])", "True", 1),
        ("block", "read & (problem", "(problem", 13),
        ("block", "(problem.download_bytes == 0) & ", "", 0),
    ],
)  # fmt: skip
def test_a_rule_with_a_condition_left_out_is_caught(name: str, source_line: str, replacement: str, first: int) -> None:
    """first: the seed to begin with, one that is known to find it soon; any other would do, but takes longer."""
    mutant = break_condition(name, source_line, replacement)
    for seed in range(first, first + 30):
        try:
            wrong, _ = exercise({name: mutant}, 100, 100 + seed, Fraction(0), 20 if name == "block" else 6, until_wrong=True)
        except (AssertionError, NotExactError, MincutError):
            return  # it merged what does not belong together so plainly that the checks notice
        if wrong:
            return
    pytest.fail("the mutant lost nothing in 3,000 problems")


def test_wider_uncertainty_never_compresses_more() -> None:
    rng = random.Random(21)
    for _ in range(40):
        problem = to_problem(network_shaped(rng, 60))
        sizes = [
            compress(problem, Bounds(LINK_ONLY, Fraction(percent, 100))).reduction.problem.op_count
            for percent in (0, 5, 20, 60)
        ]
        assert sizes == sorted(sizes)


def test_groups_that_depend_on_each_other_in_a_circle_are_refused() -> None:
    problem = to_problem(network_shaped(random.Random(3), 10))
    label = np.arange(problem.op_count, dtype=np.int64)
    label[0] = label[-1] = 0
    with pytest.raises(NotExactError, match="circle"):
        contract(problem, label)
