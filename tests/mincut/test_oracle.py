"""Tables of placements within bounds: against every placement counted, anywhere in the box, and proved from the table alone."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, price_box, small_problem_with_codecs, to_problem, weights_inside
from mincut.bound_tree import Bound
from mincut.codecs import without
from mincut.errors import CertificateError, InfeasibleError
from mincut.lower_envelope import envelope
from mincut.oracle import Limits
from mincut.problem import Problem
from mincut.proof import prove
from mincut.rows import feature_rows, row_of
from tests.draws import draws
from tests.oracles.codec_brute_force import closed_sets_with_codecs

MODERATE = [0, 1, 2, 7, 100, 12_345]


def limits_of(memory: np.ndarray, most_memory: int, most_upload: int) -> Limits:
    def limits(problem: Problem) -> list[Bound]:
        return [(row_of(problem, "memory", on_device=memory), most_memory), (feature_rows(problem)[2], most_upload)]

    return limits


def cost(features: np.ndarray, weights: tuple[Fraction, ...]) -> Fraction:
    return sum((int(amount) * weight for amount, weight in zip(features, weights, strict=True)), Fraction(0))


def test_no_placement_within_the_bounds_beats_the_table_anywhere_in_the_box() -> None:
    rng, tested, bound = random.Random(1520), 0, 0
    for _ in range(draws(400)):
        plain, codecs, problem = small_problem_with_codecs(rng, 5, MODERATE)
        sets, box = closed_sets_with_codecs(plain, codecs), price_box(rng)
        memory = np.array([rng.choice([0, 1, 3, 9]) for _ in range(problem.op_count)], dtype=np.int64)
        limits = limits_of(memory, rng.choice([0, 3, 9, 20]), rng.choice([0, 9, 200, 10**5]))
        (_, most_memory), (_, most_upload) = limits(problem)
        within = (sets.on_device @ memory <= most_memory) & (sets.features[:, 2] <= most_upload)
        try:
            found = envelope(problem, box, limits=limits)
        except InfeasibleError:
            assert not within.any()
            continue
        tested += 1
        bound += not within.all()
        assert found.complete
        assert found.gap < 1e-6
        distinct = np.unique(sets.features[within], axis=0)
        for _ in range(10):
            weights = weights_inside(rng, box)
            best = min(cost(features, weights) for features in distinct)
            known = min(cost(features, weights) for features in found.features)
            assert best <= known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
        prove(problem, box, found.placements, found.codecs, limits=limits)
    assert tested > draws(400) / 4
    assert bound > draws(400) / 8


def test_alternatives_keep_the_bounds_of_their_own_forms() -> None:
    rng, tested = random.Random(1521), 0
    for _ in range(draws(400)):
        plain, _, problem = small_problem_with_codecs(rng, 5, MODERATE)
        if problem.codecs is None or not (problem.codecs.counts > 1).any():
            continue
        forbidden = []
        for _ in range(2):
            tensor = rng.choice(np.flatnonzero(problem.codecs.counts > 1).tolist())
            forbidden.append([(tensor, int(problem.codecs.counts[tensor]) - 1)])
        parts = [replace(problem, codecs=without(problem.codecs, pairs)) for pairs in forbidden]
        box, most_upload = price_box(rng), rng.choice([0, 9, 200])
        limits = limits_of(np.zeros(problem.op_count, dtype=np.int64), 0, most_upload)
        # Counted under the codecs that each alternative has left.
        costs = []
        for part in parts:
            assert part.codecs is not None
            own = list(zip(part.codecs.wire_bytes.tolist(), part.codecs.device_ns.tolist(), part.codecs.server_ns.tolist(),
                           strict=True))  # fmt: skip
            rows = [own[first:end] for first, end in zip(part.codecs.start[:-1], part.codecs.start[1:], strict=True)]
            read = [tensor for tensor in plain.tensors if tensor[1]]
            sets = closed_sets_with_codecs(replace(plain, tensors=read), rows)
            costs.append(sets.features[sets.features[:, 2] <= most_upload])
        allowed = np.concatenate(costs)
        try:
            found = envelope(problem, box, alternatives=parts, limits=limits)
        except InfeasibleError:
            assert not len(allowed)
            continue
        tested += 1
        for _ in range(10):
            weights = weights_inside(rng, box)
            best = min(cost(features, weights) for features in allowed)
            known = min(cost(features, weights) for features in found.features)
            assert best <= known <= best * (1 + Fraction(found.gap) + Fraction(1, 10**12))
    assert tested > draws(400) / 10


def test_a_table_that_lacks_a_cut_or_exceeds_a_bound_is_refused() -> None:
    rng, refused = random.Random(1522), 0
    while refused < 10:
        problem, box = to_problem(network_shaped(rng, rng.randint(20, 60))), price_box(rng)
        memory = np.array([rng.randint(0, 100) for _ in range(problem.op_count)], dtype=np.int64)
        limits = limits_of(memory, int(memory.sum()) // 2, 700_000)
        found = envelope(problem, box, limits=limits)
        prove(problem, box, found.placements, limits=limits)
        everything = np.ones(problem.op_count, dtype=np.bool_)
        with pytest.raises(
            CertificateError, match=f"placement {len(found.placements)} is not within its bounds: memory at most"
        ):
            prove(problem, box, [*found.placements, everything], limits=limits)
        if len(found.placements) < 2 or found.placements[0].all():
            continue
        with pytest.raises(CertificateError, match="a placement costs"):
            prove(problem, box, found.placements[1:], limits=limits)
        refused += 1


def test_bounds_that_never_bind_change_nothing() -> None:
    rng = random.Random(1523)
    for _ in range(5):
        problem, box = to_problem(network_shaped(rng, 40)), price_box(rng)
        loose = limits_of(np.ones(problem.op_count, dtype=np.int64), problem.op_count, 2**40)
        assert sorted(envelope(problem, box, limits=loose).features) == sorted(envelope(problem, box).features)
