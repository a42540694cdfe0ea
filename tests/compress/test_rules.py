"""Every rule keeps the optimum, alone and in any order, for all prices and profiles in its bounds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import chain, pairwise

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, price_box, to_problem, weights_inside
from compress.bounds import Bounds
from compress.errors import NotExactError
from compress.reduction import contract
from compress.schedule import RULES, Rule, compress, compress_together
from mincut.errors import InfeasibleError
from mincut.lower_envelope import envelope
from mincut.network import build
from mincut.problem import Problem
from tests.compress.drawn import LINK_ONLY, any_problem, close_box, forbidding, tight_problem
from tests.compress.exact import is_exact
from tests.compress.mutants import compressor
from tests.draws import draws
from tests.oracles.codec_brute_force import Codec, closed_sets_with_codecs


def exercise(
    rules: Mapping[str, Rule] | None, rounds: int, seed: int, uncertainty: Fraction, *, codecs: bool
) -> tuple[int, Counter[str]]:
    """Run rules over many problems; returns how often they lost the optimum, and what they merged."""
    rng, merged, wrong = random.Random(seed), Counter[str](), 0
    for _ in range(rounds):
        problem = any_problem(rng, 14, codecs)
        box = LINK_ONLY if rng.random() < 0.5 else price_box(rng)
        chosen = rules or dict(rng.sample(list(RULES.items()), rng.randint(1, len(RULES))))
        try:
            network = build(problem)
        except InfeasibleError:
            continue
        wrong += not is_exact(compressor(), network, box, uncertainty, chosen, rng, merged)
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


def test_the_envelope_of_the_compressed_problem_holds_the_best_of_every_choice() -> None:
    rng, smaller, bound = random.Random(23), 0, 0
    for _ in range(draws(1000)):
        plain, forms, problem = tight_problem(rng, True)
        box = close_box(rng)
        alternatives = forbidding(problem, rng)
        try:
            compression, parts = compress_together(problem, alternatives, Bounds(box))
        except InfeasibleError:
            continue
        reduction = compression.reduction
        smaller += reduction.problem.op_count < problem.op_count
        found = envelope(reduction.problem, box, alternatives=parts)
        for side, codec, features in zip(found.placements, found.codecs, found.features, strict=True):
            assert problem.features(reduction.lift(side), reduction.lift_codecs(codec)) == features
            assert problem.violation(reduction.lift(side)) is None
        allowed = [_rows(each) for each in alternatives] or [forms]
        truth = [np.unique(closed_sets_with_codecs(plain, each).features, axis=0).tolist() for each in allowed]
        for _ in range(4):
            weights = weights_inside(rng, box)
            best, known = min(map(_cost(weights), chain(*truth))), min(map(_cost(weights), found.features))
            assert best <= known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
            bound += len(truth) > 1
    assert smaller > 30
    assert bound > 30


def _rows(problem: Problem) -> list[list[Codec]]:
    """The forms of each tensor; one that is forbidden is as its tensor's first."""
    forms = problem.forms
    rows = list(zip(forms.wire_bytes.tolist(), forms.device_ns.tolist(), forms.server_ns.tolist(), strict=True))
    return [rows[first:end] for first, end in pairwise(forms.start.tolist())]


def _cost(weights: Sequence[Fraction]) -> Callable[[Sequence[int]], Fraction]:
    return lambda features: sum((amount * weight for amount, weight in zip(features, weights, strict=True)), Fraction(0))


def test_a_rule_that_merges_a_circle_is_named() -> None:
    problem = to_problem(network_shaped(random.Random(3), 10))

    def wrong(each: Problem, _: Bounds) -> np.ndarray:
        label = np.arange(each.op_count, dtype=np.int64)
        label[0] = label[-1]
        return label

    with pytest.raises(NotExactError, match=r"the rule 'wrong' is not exact: .* circle"):
        compress(problem, Bounds(LINK_ONLY), rules={"wrong": wrong})
