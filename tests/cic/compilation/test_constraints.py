"""Each kind of constraint equals all cuts tried; where none is left, the fewest constraints that contradict are named."""

from __future__ import annotations

import random

import pytest

from benchmarks.decision.constraints import against_all_cuts
from benchmarks.harness.limited_problems import KINDS
from cic.compilation.constraints import Constraint, Constraints, smallest_contradiction
from cic.decision.stored_limits import StoredLimits
from tests.draws import draws


@pytest.mark.parametrize("kind", KINDS)
def test_random_problems_equal_all_cuts_tried(kind: str) -> None:
    found = against_all_cuts(kind, draws(75), seed=1541)
    assert found["wrong"] == 0
    assert found["binding"] > 0
    assert found["impossible"] < draws(75) * 0.8


def test_the_fewest_contradicting_constraints_are_irreducible() -> None:
    rng = random.Random(1542)
    for _ in range(200):
        every = [Constraint("pin", str(index), "") for index in range(rng.randint(1, 8))]
        conflicts = [frozenset(rng.sample(every, rng.randint(1, len(every)))) for _ in range(rng.randint(1, 4))]

        def leaves_a_cut(kept: object, conflicts: list[frozenset[Constraint]] = conflicts) -> bool:
            return not any(conflict <= set(kept) for conflict in conflicts)  # type: ignore[call-overload]

        blamed = smallest_contradiction(every, leaves_a_cut)
        assert not leaves_a_cut(blamed)
        assert all(leaves_a_cut([other for other in blamed if other is not each]) for each in blamed)


def test_constraints_are_told_one_by_one_and_can_be_left_out() -> None:
    limits = StoredLimits(upload_bytes=1000, memory_bytes=None, weights_bytes=2_000_000, weights=(5, 7))
    asked = Constraints({"conv*": "device"}, ["image"], ["layer1", "layer2"], limits)
    assert [each.text for each in asked.asked] == [
        "conv* on the device", "image private", "nothing sent before layer1 or layer2",
        "upload at most 1 kB", "weights on the device at most 2 MB",
    ]  # fmt: skip
    few = asked.only([each for each in asked.asked if each.kind in ("private", "limit") and each.name != "weights"])
    assert (few.pins, list(few.private), list(few.private_until)) == ({}, ["image"], [])
    assert few.limits == StoredLimits(upload_bytes=1000, memory_bytes=None, weights_bytes=None, weights=())
