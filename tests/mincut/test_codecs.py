"""With codecs inside, answers equal brute force over every closed set and every choice of codecs."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import AMOUNTS, price_box, random_prices, small_problem_with_codecs, weights_inside
from mincut.certificate import certify
from mincut.codecs import make_codecs, without
from mincut.errors import BadProblemError, CertificateError, InfeasibleError
from mincut.lower_envelope import envelope
from mincut.network import build
from mincut.prepared import prepare
from mincut.problem import Problem, make_problem
from mincut.proof import prove
from mincut.solver import solve
from tests.oracles.codec_brute_force import Codec, closed_sets_with_codecs

MODERATE = [0, 1, 2, 7, 100, 12_345, 10**6]


def test_the_optimum_of_five_thousand_problems() -> None:
    rng = random.Random(501)
    solved = 0
    while solved < 5000:
        plain, codecs, problem = small_problem_with_codecs(rng, 6, AMOUNTS)
        truth = closed_sets_with_codecs(plain, codecs)
        try:
            network = build(problem)
        except InfeasibleError:
            assert not len(truth.features)
            continue
        solved += 1
        at = random_prices(rng)
        found = solve(network, at)
        certify(network, found)
        assert found.cost == truth.cheapest(tuple(at))
        rows = truth.features[(truth.on_device == found.on_device).all(axis=1)].tolist()
        assert list(found.features) in rows, "the features are those of one choice of codecs for this device side"


def test_prepared_problems_answer_the_same() -> None:
    rng, tested = random.Random(502), 0
    for _ in range(400):
        _, _, problem = small_problem_with_codecs(rng, 8, MODERATE)
        try:
            prepared = prepare(problem)
        except InfeasibleError:
            continue
        tested += 1
        conditions = [random_prices(rng) for _ in range(6)]
        expected = [solve(problem, at) for at in conditions]
        for at, truth in zip(conditions, expected, strict=True):
            on_device, cost = prepared.solve(problem.device_ns, problem.server_ns, at)
            assert cost == truth.cost
            assert (on_device == truth.on_device).all()
    assert tested > 200


def test_the_envelope_holds_the_best_of_every_side_and_codec_anywhere_in_the_box() -> None:
    rng = random.Random(503)
    several = 0
    for _ in range(150):
        plain, codecs, problem = small_problem_with_codecs(rng, 6, MODERATE)
        box = price_box(rng)
        try:
            found = envelope(problem, box)
        except InfeasibleError:
            continue
        assert found.complete
        several += len({side.tobytes() for side in found.placements}) < len(found.placements)
        for side, codec, features in zip(found.placements, found.codecs, found.features, strict=True):
            assert problem.features(side, codec) == features
        distinct = np.unique(closed_sets_with_codecs(plain, codecs).features, axis=0).tolist()
        for _ in range(10):
            weights = weights_inside(rng, box)

            def cost(features: tuple[int, ...], weights: tuple[Fraction, ...] = weights) -> Fraction:
                return sum((amount * weight for amount, weight in zip(features, weights, strict=True)), Fraction(0))

            best = min(cost(features) for features in distinct)
            assert min(cost(features) for features in found.features) <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
        prove(problem, box, found.placements, found.codecs)
    assert several > 10, "some sides are best with different codecs in different places"


def test_a_missing_codec_does_not_pass_the_proof() -> None:
    rng = random.Random(504)
    refused = 0
    for _ in range(100):
        _, _, problem = small_problem_with_codecs(rng, 6, MODERATE)
        box = price_box(rng)
        try:
            found = envelope(problem, box)
        except InfeasibleError:
            continue
        sides = [side.tobytes() for side in found.placements]
        twice = [index for index, side in enumerate(sides) if sides.count(side) > 1]
        if twice:
            kept = [index for index in range(len(sides)) if index != twice[0]]
            with pytest.raises(CertificateError, match="a placement costs"):
                prove(problem, box, [found.placements[index] for index in kept], [found.codecs[index] for index in kept])
            refused += 1
    assert refused > 5


def test_malformed_codecs_are_refused_by_name() -> None:
    problem = make_problem([5, 5], [1, 1], [(-1, [0], 0), (0, [1], 0)], codecs=[[(9, 0, 0), (3, 2, 1)], [(4, 0, 0)]])
    codecs = problem.codecs
    assert codecs is not None
    for field, bad in (
        ("wire_bytes", codecs.wire_bytes - 5),
        ("device_ns", codecs.device_ns + 2**48),
        ("server_ns", codecs.server_ns[:-1]),
        ("server_ns", codecs.server_ns.astype(np.float64)),
        ("start", codecs.start[:-1]),
        ("start", codecs.start * 0),
    ):
        with pytest.raises(BadProblemError, match=f"codecs.{field}"):
            replace(problem, codecs=replace(codecs, **{field: bad}))
    with pytest.raises(BadProblemError, match="tensor 0 sends 8 bytes, its first codec says 9"):
        replace(problem, wire_bytes=problem.wire_bytes - 1)
    with pytest.raises(BadProblemError, match="tensor 1 has no codec"):
        make_codecs([[(1, 0, 0)], []])
    with pytest.raises(BadProblemError, match="wire_bytes"):
        prepare(problem).solve(problem.device_ns, problem.server_ns, random_prices(random.Random(1)), problem.wire_bytes)


def two_branches(rng: random.Random) -> tuple[PlainProblem, list[list[Codec]], Problem]:
    """Two ops that the server is slow at feed one that the device is slow at: both their results want to cross, small."""
    cheap, dear = [rng.randint(1, 20) for _ in range(3)], [rng.randint(100, 10_000) for _ in range(3)]
    tensors = [(-1, [0, 1], dear[0], True), (0, [2], dear[1], True), (1, [2], dear[2], True)]
    plain = PlainProblem([cheap[0], cheap[1], dear[2]], [dear[0], dear[1], cheap[2]], [0, 0, 3], [0] * 3, tensors)
    codecs = [[(size, 0, 0), (size // rng.randint(2, 30), rng.randint(0, 9), rng.randint(0, 9))] for _, _, size, _ in tensors]
    rows = [(producer, readers, 0) for producer, readers, _, _ in tensors]
    return plain, codecs, make_problem(plain.device_ns, plain.server_ns, rows, download_bytes=[0, 0, 3], codecs=codecs)


def test_alternatives_hold_the_best_of_what_any_of_them_allows() -> None:
    rng = random.Random(505)
    bound = 0
    for _ in range(80):
        plain, codecs, problem = two_branches(rng)
        box, forms = price_box(rng), problem.codecs
        assert forms is not None
        forbidden = [[(1, 1)], [(2, 1)]]
        alternatives = [replace(problem, codecs=without(forms, pairs)) for pairs in forbidden]
        found = envelope(problem, box, alternatives=alternatives)
        prove(problem, box, found.placements, found.codecs, alternatives=alternatives)
        for side, codec in zip(found.placements, found.codecs, strict=True):
            used = {(int(tensor), int(codec[tensor])) for tensor in np.flatnonzero(problem.crossing(side))}
            assert any(used.isdisjoint(pairs) for pairs in forbidden), (
                "both forbidden codecs at once is what no alternative allows"
            )
        rows = []
        for pairs in forbidden:
            left = [
                [codec for place, codec in enumerate(options) if (tensor, place) not in pairs]
                for tensor, options in enumerate(codecs)
            ]
            rows.extend(closed_sets_with_codecs(plain, left).features.tolist())
        everything = closed_sets_with_codecs(plain, codecs).features.tolist()
        for _ in range(10):
            weights = weights_inside(rng, box)

            def cost(features: tuple[int, ...], weights: tuple[Fraction, ...] = weights) -> Fraction:
                return sum((amount * weight for amount, weight in zip(features, weights, strict=True)), Fraction(0))

            best, known = min(map(cost, rows)), min(map(cost, found.features))
            assert best <= known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
            bound += min(map(cost, everything)) < best
    assert bound > 5, "sometimes what is forbidden would have been cheaper"


def test_only_codecs_after_the_first_can_be_forbidden() -> None:
    codecs = make_codecs([[(9, 0, 0), (3, 2, 1)], [(4, 0, 0)]])
    for pair in ((0, 0), (1, 1), (2, 0), (0, -1)):
        with pytest.raises(BadProblemError, match="cannot be forbidden"):
            without(codecs, [pair])
