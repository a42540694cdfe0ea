"""The table is the fastest of all that meets an accuracy target, and what it says about accuracy is what was measured."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from benchmarks.harness.random_problems import price_box, weights_inside
from cic.codec.registry import LOSSY_PICTURES
from cic.precision import target_search as precision
from cic.precision.accuracy import Reached
from cic.precision.target_search import alternative_problems, within_target
from cic.precision.wire_form import PRECISIONS, WireForm, allows_transforms, codecs_for
from compress.bounds import Bounds
from mincut.problem import BoolArray, Problem, make_problem
from mincut.proof import prove

FORMS = ("raw", "fp16", "int8", "int4")


def branching(rng: random.Random) -> tuple[Problem, list[list[WireForm]], list[tuple[int, list[int]]]]:
    """A fork of two or three branches that meet again: cuts through all branches at once are tempting."""
    branches = rng.randint(2, 3)
    last = branches
    tensors = [(-1, list(range(branches)))] + [(branch, [last]) for branch in range(branches)]
    device = [rng.randint(1, 50) for _ in range(branches)] + [rng.randint(1000, 9000)]
    server = [rng.randint(200, 4000) for _ in range(branches)] + [rng.randint(1, 50)]
    forms = []
    for _ in tensors:
        raw = rng.randint(400, 4000)
        sizes = [raw, raw // 2, raw // 4, raw // 8]
        forms.append(
            [WireForm(name, size, 0.0, 0.0, 0.1 * place) for place, (name, size) in enumerate(zip(FORMS, sizes, strict=True))]
        )
    problem = make_problem(
        device,
        server,
        [(producer, readers, 0) for producer, readers in tensors],
        codecs=[[form.features for form in each] for each in forms],
    )
    return problem, forms, tensors


def every_choice(problem: Problem, forms: list[list[WireForm]]) -> list[tuple[BoolArray, dict[int, int]]]:
    """All closed sets with all forms of their crossing tensors."""
    choices = []
    for bits in product((False, True), repeat=problem.op_count):
        side = np.array(bits)
        if problem.violation(side) is None:
            crossing = np.flatnonzero(problem.crossing(side)).tolist()
            chosen = product(*(range(len(forms[tensor])) for tensor in crossing))
            choices += [(side, dict(zip(crossing, each, strict=True))) for each in chosen]
    return choices


def features(problem: Problem, side: BoolArray, chosen: dict[int, int]) -> tuple[int, ...]:
    codec = np.zeros(problem.tensor_count, dtype=np.int64)
    for tensor, form in chosen.items():
        codec[tensor] = form
    return tuple(problem.features(side, codec))


def test_nothing_that_meets_the_target_beats_the_table() -> None:
    rng = random.Random(61)
    joint = 0
    for _ in range(60):
        problem, forms, _ = branching(rng)
        loss = {(tensor, name): rng.random() for tensor in range(problem.tensor_count) for name in FORMS[1:]}
        budget = rng.uniform(0.3, 1.5)

        def run(side: BoolArray, lossy: dict[int, WireForm], loss: dict = loss, budget: float = budget) -> Reached:
            total = sum(loss[tensor, form.stage] for tensor, form in lossy.items())
            return Reached(None, total, total <= budget)

        box = price_box(rng)
        found = within_target(problem, forms, Bounds(box), run, most_solves=20_000, tell=lambda _: None)
        assert found.exact
        assert all(reached.met for reached in found.reached)
        joint += len(found.alternatives) > 1
        alternatives = alternative_problems(problem, found.alternatives)
        prove(problem, box, found.found.placements, found.found.codecs, alternatives=alternatives)
        rows = {
            features(problem, side, chosen)
            for side, chosen in every_choice(problem, forms)
            if sum(loss[tensor, FORMS[form]] for tensor, form in chosen.items() if form) <= budget
        }
        for _ in range(10):
            weights = weights_inside(rng, box)

            def cost(row: tuple[int, ...], weights: tuple[Fraction, ...] = weights) -> Fraction:
                return sum((amount * weight for amount, weight in zip(row, weights, strict=True)), Fraction(0))

            best, known = min(map(cost, rows)), min(map(cost, found.found.features))
            assert best <= known <= best * (1 + Fraction(found.found.gap) + Fraction(1, 10**12))
    assert joint > 5, "some targets are missed by several tensors together only"


def test_with_too_many_alternatives_the_target_is_still_met_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MOST_ALTERNATIVES", 1)
    rng = random.Random(62)
    inexact = 0
    for _ in range(30):
        problem, forms, _ = branching(rng)

        def run(side: BoolArray, lossy: dict[int, WireForm]) -> Reached:
            return Reached(None, 0.0, sum(form.error for form in lossy.values()) <= 0.35)

        found = within_target(problem, forms, Bounds(price_box(rng)), run, most_solves=20_000, tell=lambda _: None)
        assert all(reached.met for reached in found.reached)
        assert len(found.alternatives) == 1
        inexact += not found.exact
    assert inexact > 3


def test_what_a_precision_allows_grows_and_always_begins_with_raw() -> None:
    allowed = [set(codecs_for(name)) for name in PRECISIONS]
    assert all(fewer < more for fewer, more in pairwise(allowed[:-1]))
    assert allowed[-1] == allowed[-2] and [allows_transforms(name) for name in PRECISIONS[-2:]] == [False, True]
    assert allows_transforms(["raw", "transform"]) and codecs_for(["transform"]) == ("raw",)
    assert codecs_for(["int8", "raw", "fp32", "int8"]) == ("raw", "int8")
    for name in PRECISIONS:
        assert codecs_for(name)[0] == "raw"


def two_pictures(rng: random.Random) -> tuple[Problem, list[list[WireForm]]]:
    """A network of one op for two pictures, which the server computes: their files of one kind or two."""
    forms = []
    for _ in range(2):
        mine = [WireForm("raw", 5000, 0.0, 0.0, 0.0)]
        for kind in (PICTURES[0], PICTURES[1])[: rng.randint(1, 2)]:
            sizes = sorted(rng.sample(range(100, 4000), len(kind)), reverse=True)
            mine += [WireForm(name, size, 0.0, 0.0, 0.0) for name, size in zip(kind, sizes, strict=True)]
        forms.append(mine)
    tensors = [(-1, [0], 0), (-1, [0], 0)]
    return make_problem([10**9], [1], tensors, codecs=[[form.features for form in each] for each in forms]), forms


PICTURES = [[name for name in LOSSY_PICTURES if name.startswith(kind) and "-" not in name][::3] for kind in ("jpeg", "webp")]


def test_of_two_pictures_the_qualities_are_the_best_of_all_pairs() -> None:
    """Where more quality never keeps less; though one picture's may be lower the higher the other's is."""
    rng = random.Random(63)
    together = 0
    for _ in range(10):
        problem, forms = two_pictures(rng)
        loss = {}
        for tensor in range(len(forms)):
            for kind in PICTURES:
                losses = sorted(rng.random() for _ in kind)
                loss.update({(tensor, name): each for name, each in zip(kind, losses, strict=True)})
        budget = rng.uniform(0.2, 1.6)

        def run(side: BoolArray, lossy: dict[int, WireForm], loss: dict = loss, budget: float = budget) -> Reached:
            total = sum(loss[tensor, form.codec] for tensor, form in lossy.items())
            return Reached(None, total, total <= budget)

        found = within_target(problem, forms, Bounds(price_box(rng)), run, most_solves=20_000, tell=lambda _: None)
        best = min(
            one.wire_bytes + other.wire_bytes
            for one, other in product(*forms)
            if loss.get((0, one.codec), 0.0) + loss.get((1, other.codec), 0.0) <= budget
        )
        sent = min(row[2] for row in map(tuple, found.found.features) if row[0] < 10**9)
        together += len(found.alternatives) > 1
        assert found.exact and sent == best
    assert together > 5, "some targets are missed by both pictures together only"
