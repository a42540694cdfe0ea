"""A splitting model of forty ops, for tests that ask it what it refuses and how it answers."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from tests.cic.hand_made import splitting_model


@pytest.fixture(scope="package")
def model() -> SplittingModel:
    return splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)
