"""Every rule keeps the optimum, alone and in any order, for all prices and profiles in its bounds; and each condition in a
rule is needed: leaving one out is noticed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, price_box, small_chain, small_problem, to_problem, weights_inside
from benchmarks.harness.scaled_prices import scaled_prices
from compress.bounds import Bounds
from compress.errors import NotExactError
from compress.reduction import contract
from compress.schedule import RULES, Rule, compress, compress_together
from mincut.codecs import make_codecs, without
from mincut.errors import InfeasibleError, MincutError
from mincut.lower_envelope import PriceBox
from mincut.network import build
from mincut.problem import Problem
from mincut.solver import solve
from tests.draws import draws
from tests.oracles.codec_brute_force import closed_sets_with_codecs

ONE = (Fraction(1), Fraction(1))
LINK_ONLY = PriceBox(ONE, ONE, (Fraction(1, 100), Fraction(10**4)), ONE)
AMOUNTS = [0, 1, 2, 7, 100, 12_345, 10**6]


def any_problem(rng: random.Random, most_ops: int, codecs: bool) -> Problem:
    if rng.random() < 0.2:
        problem = to_problem(network_shaped(rng, rng.randint(3, 2 * most_ops)))
    else:
        make = rng.choice([small_problem, small_chain])
        problem = to_problem(make(rng, most_ops, amounts=AMOUNTS, stuck=rng.choice([0, 0.05, 0.5])))
    return with_forms(problem, rng) if codecs else problem


def with_forms(problem: Problem, rng: random.Random) -> Problem:
    """The same problem with one to four forms a tensor, most of them smaller and slower than the one before."""
    most, alike, timed = rng.choice([1, 1, 2, 4]), rng.random() < 0.5, rng.random() < 0.3
    times = [(rng.choice(AMOUNTS[:-2]), rng.choice(AMOUNTS[:-2])) for _ in range(4)]

    def forms(size: int) -> list[tuple[int, int, int]]:
        rows = [(size, *rng.choice(times)) if timed and rng.random() < 0.5 else (size, 0, 0)]
        for place in range(1, most if alike else rng.randint(1, most)):
            # Times that are alike for all tensors, as those of codecs nearly are, let rules compare forms.
            encode, decode = times[place] if alike else (rng.choice(AMOUNTS[:-1]), rng.choice(AMOUNTS[:-1]))
            rows.append((size // rng.choice([1, 2, 2, 4]) if not alike else size >> place, encode, decode))
        return rows

    codecs = make_codecs([forms(size) for size in problem.wire_bytes.tolist()]) if problem.tensor_count else None
    return replace(problem, codecs=codecs)


def forbidding(problem: Problem, rng: random.Random) -> list[Problem]:
    """No or up to three alternatives, each of which forbids some forms."""
    forms = problem.codecs
    if forms is None or rng.random() < 0.3:
        return []
    pairs = [(tensor, form) for tensor, count in enumerate(forms.counts.tolist()) for form in range(1, count)]
    return [
        replace(problem, codecs=without(forms, [pair for pair in pairs if rng.random() < 0.4]))
        for _ in range(rng.randint(1, 3))
    ]


def is_exact(problem: Problem, bounds: Bounds, rules: Mapping[str, Rule], rng: random.Random, merged: Counter[str]) -> bool:
    """Does the reduced problem have the same optimum, at the prices and op times that are hardest on it?"""
    network, alternatives = build(problem), forbidding(problem, rng)
    compression, _ = compress_together(problem, alternatives, bounds, rules=rules)
    merged.update(compression.merged)
    # Where nothing merged there is little to see.
    for _ in range(6 if sum(compression.merged.values()) else 1):
        moved = perturbed(problem, bounds.uncertainty, rng)
        profiles = [replace(moved, codecs=each.codecs) for each in alternatives or [problem]]
        prices = scaled_prices(network, weights_inside(rng, bounds.box))
        optimum, smallest = None, None
        for profile in profiles:
            small = contract(profile, compression.reduction.member_of)
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
    *,
    codecs: bool,
) -> tuple[int, Counter[str]]:
    """Run rules over many problems; returns how often they lost the optimum, and what they merged."""
    rng, merged, wrong = random.Random(seed), Counter[str](), 0
    for _ in range(rounds):
        problem = any_problem(rng, most_ops, codecs)
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


CODECS = pytest.mark.parametrize("codecs", [False, True], ids=["as they are", "codecs"])


@CODECS
@pytest.mark.parametrize("uncertainty", [Fraction(0), Fraction(1, 10)])
@pytest.mark.parametrize("name", RULES)
def test_each_rule_alone_keeps_the_optimum(name: str, uncertainty: Fraction, codecs: bool) -> None:
    wrong, merged = exercise(
        {name: RULES[name]}, draws(1250 if codecs and name == "block" else 500), 1, uncertainty, codecs=codecs
    )
    assert wrong == 0
    assert merged[name] > 20, "the rule must have had something to do"


@CODECS
def test_random_sequences_of_rules_keep_the_optimum(codecs: bool) -> None:
    wrong, merged = exercise(None, draws(1000), 2, Fraction(0), codecs=codecs)
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


CONDITIONS = [
    ("expand", "bounds.device_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True"),
    ("expand", "bounds.sends_no_more(more)", "more.wire_bytes == more.wire_bytes"),
    ("expand", " & (problem.download_bytes == 0)", ""),
    ("expand", "joins &= wires.own_may_cross", ""),
    ("expand", " & (problem.pinned != ON_DEVICE)", ""),
    ("shrink", "bounds.server_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True"),
    ("shrink", "bounds.sends_no_more(more)", "more.wire_bytes == more.wire_bytes"),
    ("shrink", "wires.alone", "wires.made"),
    ("shrink", " & (problem.pinned != ON_SERVER)", ""),
    ("shrink", "joins &= wires.made_may_cross", ""),
    ("heavy", "server_is_free(device_ns, server_ns, more, ", "server_is_free(device_ns, server_ns, more, 0 * "),
    ("heavy", "server_is_free(device_ns, server_ns", "server_is_free(device_ns, 0 * server_ns"),
    ("heavy", "device_is_free(device_ns", "device_is_free(0 * device_ns"),
    ("heavy", "device_is_free(device_ns, server_ns, more", "device_is_free(device_ns, server_ns, more.minus(more)"),
    ("heavy", " & wires.own_may_cross", ""),
    ("heavy", " & wires.made_may_cross", ""),
    ("block", "return _fewest_bytes(problem, inside, before, gate) ==", "return True or 0 =="),
    ("block", "bounds.device_is_never_faster(problem.device_ns[may], problem.server_ns[may])", "True"),
    ("block", "read & (problem", "(problem"),
    ("block", "(problem.download_bytes == 0) & ", ""),
]


@pytest.mark.parametrize(
    ("name", "source_line", "replacement", "codecs"),
    [(*each, codecs) for each in CONDITIONS for codecs in (False, True) if each[0] != "block" or not codecs],
)
def test_a_rule_with_a_condition_left_out_is_caught(name: str, source_line: str, replacement: str, codecs: bool) -> None:
    mutant = break_condition(name, source_line, replacement)
    for seed in range(30):
        try:
            most_ops = 20 if name == "block" else 6
            wrong, _ = exercise({name: mutant}, 100, 100 + seed, Fraction(0), most_ops, until_wrong=True, codecs=codecs)
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


def test_with_codecs_the_optimum_is_the_best_of_every_choice() -> None:
    rng, smaller = random.Random(23), 0
    for _ in range(draws(500)):
        plain = small_chain(rng, 6, amounts=AMOUNTS)
        problem = with_forms(to_problem(plain), rng)
        forms = problem.codecs
        assert forms is not None
        columns = forms.wire_bytes.tolist(), forms.device_ns.tolist(), forms.server_ns.tolist()
        rows, start = list(zip(*columns, strict=True)), forms.start.tolist()
        truth = closed_sets_with_codecs(plain, [rows[first:end] for first, end in pairwise(start)])
        box = price_box(rng)
        try:
            network = build(problem)
        except InfeasibleError:
            continue
        small = compress(problem, Bounds(box)).reduction
        smaller += small.problem.op_count < problem.op_count
        for _ in range(4):
            prices = scaled_prices(network, weights_inside(rng, box))
            cheapest = truth.cheapest(tuple(prices))
            found = solve(small.problem, prices)
            assert cheapest is not None and cheapest <= found.cost <= cheapest * (1 + 1e-7)
            assert problem.features(small.lift(found.on_device), small.lift_codecs(found.codec)).cost(prices) == found.cost
    assert smaller > 30


def test_a_rule_that_merges_a_circle_is_named() -> None:
    problem = to_problem(network_shaped(random.Random(3), 10))

    def wrong(each: Problem, _: Bounds) -> np.ndarray:
        label = np.arange(each.op_count, dtype=np.int64)
        label[0] = label[-1]
        return label

    with pytest.raises(NotExactError, match=r"the rule 'wrong' is not exact: .* circle"):
        compress(problem, Bounds(LINK_ONLY), rules={"wrong": wrong})
