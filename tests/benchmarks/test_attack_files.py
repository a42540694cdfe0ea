"""A few of the attacks on files that `python -m benchmarks.trust.attack.splitting_model` makes by the thousand."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.random_problems import network_shaped
from benchmarks.trust.attack.splitting_model import PARTS, attack
from cic.decision.conditions import Box
from cic.decision.splitting_model import dumps
from tests.cic.hand_made import splitting_model, with_stored


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    model = splitting_model(network_shaped(random.Random(0), 8), Box(), 0.01, 2.0)
    return [dumps(model), dumps(with_stored(model, [b"numbers" * 20, b"more numbers" * 30]))]


@pytest.mark.parametrize("part", PARTS)
def test_changed_splitting_models_are_refused_or_decide_rightly(files: list[bytes], part: str) -> None:
    tally = attack(files, part, 12)
    # Time is for the command to judge, on a machine that does nothing else.
    assert not [fault for fault in tally.faults if " s taken (" not in fault]
    assert tally.endings.total() == 12
