"""A proof holds for a whole table and for no table that lacks a cut, whatever the joints of the network."""

from __future__ import annotations

import random
from math import inf

import numpy as np
import pytest

from benchmarks.harness.random_problems import network_shaped, price_box, to_problem
from mincut.errors import CertificateError
from mincut.lower_envelope import envelope
from mincut.problem import Problem
from mincut.proof import prove
from mincut.sections import cut_at_joints
from mincut.table_choice import choose


def test_whole_tables_are_proved_and_tables_that_lack_a_cut_are_refused() -> None:
    rng, refused = random.Random(61), 0
    for _ in range(25):
        problem, box = to_problem(network_shaped(rng, rng.randint(20, 150))), price_box(rng)
        found = envelope(problem, box)
        proof = prove(problem, box, found.placements)
        assert len(proof.rays) == len(found.rays)
        assert proof.gap <= found.gap * (1 + 1e-9)
        for left_out in range(len(found.placements)):
            if found.placements[left_out].all() or len(found.placements) == 1:
                continue  # "everything on the device" is there for the offload price, not for the envelope
            with pytest.raises(CertificateError, match="a placement costs"):
                prove(problem, box, [side for index, side in enumerate(found.placements) if index != left_out])
            refused += 1
    assert refused > 40


def test_a_placement_that_is_not_allowed_is_refused() -> None:
    rng = random.Random(62)
    problem, box = to_problem(network_shaped(rng, 40)), price_box(rng)
    backwards = np.zeros(problem.op_count, dtype=np.bool_)
    backwards[-1] = True
    with pytest.raises(CertificateError, match="placement 1 is not allowed"):
        prove(problem, box, [*envelope(problem, box).placements[:1], backwards])


def test_the_envelope_does_not_depend_on_where_the_joints_are() -> None:
    rng = random.Random(63)
    for _ in range(15):
        problem, box = to_problem(network_shaped(rng, 60)), price_box(rng)
        # A dead end beside the first op is independent of all that follows, which leaves no joint after it.
        jointless = beside_a_dead_end(problem)
        assert len(cut_at_joints(jointless).joints) <= 3 < len(cut_at_joints(problem).joints)
        expected, found = envelope(problem, box), envelope(jointless, box)
        prove(jointless, box, found.placements)
        assert sorted(found.features) == sorted(expected.features)


def beside_a_dead_end(problem: Problem) -> Problem:
    """The same with one more op that takes no time, reads what the first op reads and makes nothing."""
    reads_input = problem.producer < 0
    readers = [problem.readers(tensor) + (problem.readers(tensor) > 0) for tensor in range(problem.tensor_count)]
    readers = [
        np.insert(names, 1, 1) if fed and names[0] == 0 else names for fed, names in zip(reads_input, readers, strict=True)
    ]
    return Problem(
        device_ns=np.insert(problem.device_ns, 1, 0),
        server_ns=np.insert(problem.server_ns, 1, 0),
        download_bytes=np.insert(problem.download_bytes, 1, 0),
        pinned=np.insert(problem.pinned, 1, 0),
        producer=problem.producer + (problem.producer > 0),
        consumer_start=np.cumsum([0, *map(len, readers)], dtype=np.int64),
        consumers=np.concatenate(readers),
        wire_bytes=problem.wire_bytes,
        may_cross=problem.may_cross,
    )


def test_what_placements_lose_is_proved_without_those_that_were_left_out() -> None:
    """The same loss comes of the table that they were chosen from; a smaller one that is promised is refused."""
    rng, lost = random.Random(64), 0
    for _ in range(12):
        problem, box = to_problem(network_shaped(rng, rng.randint(20, 80))), price_box(rng)
        found = envelope(problem, box)
        always = [place for place, side in enumerate(found.placements) if side.all()]
        kept = choose(found.features, range(len(found.features)), always, 2, box)
        sides = [found.placements[place] for place in kept.groups]
        proof = prove(problem, box, sides, most_loss=inf)
        assert proof.gap == pytest.approx(kept.loss, rel=1e-6, abs=1e-6)
        assert proof.gap >= kept.loss * (1 - 1e-12)
        assert prove(problem, box, sides, most_loss=proof.gap).gap == proof.gap
        if kept.loss > 1e-3:
            lost += 1
            with pytest.raises(CertificateError, match="a placement costs"):
                prove(problem, box, sides, most_loss=kept.loss * 0.99)
    assert lost > 4
