"""The largest gain in a box: no conditions inside it gain more, and those that are named gain as much."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.random_problems import small_problem
from cic.compilation.box_gain import box_gain
from cic.decision.conditions import Box, Conditions
from cic.decision.payoff import payoff_of, splits_of
from cic.errors import CompileError
from tests.cic.hand_made import splitting_model


def test_nothing_in_the_box_gains_more() -> None:
    rng, compared, paying = random.Random(8), 0, 0
    while compared < 40:
        try:
            model = splitting_model(small_problem(rng, 8), Box(rtt=(rng.choice([0, 0.01]), 0.5)), rtt_s=0.01)
        except CompileError:
            continue
        splits = splits_of(model)
        extremes = [cut for cut in model.cuts if cut not in splits]
        if not splits or not extremes or any(not any(cut.row) for cut in splits):
            continue
        compared += 1
        found = box_gain([cut.row for cut in extremes], [cut.row for cut in splits], model.box)
        assert found is not None
        paying += found.factor > 1
        gains = []
        for numbers in (found.conditions, *(random_conditions(rng, model.box) for _ in range(200))):
            there = Conditions(*numbers)
            gains.append(min(cut.latency_s(there) for cut in extremes) / min(cut.latency_s(there) for cut in splits))
        assert gains[0] == pytest.approx(found.factor, rel=1e-6)
        assert max(gains) <= found.factor * (1 + 1e-6)
        edges = zip(found.conditions[2:], (model.box.rtt_s, model.box.device_slowdown, model.box.server_slowdown), strict=True)
        assert all(low * (1 - 1e-6) <= value <= high * (1 + 1e-6) for value, (low, high) in edges)
        usual = payoff_of(model)
        assert usual is not None and max(gain.factor for gain in usual.gains) <= found.factor * (1 + 1e-6)
    assert paying > 10


def test_without_an_extreme_or_a_split_there_is_nothing_to_compare() -> None:
    row = (1.0, 1.0, 1e6, 0.0, 1.0)
    assert box_gain([], [row], Box()) is None and box_gain([row], [], Box()) is None


def test_one_form_of_the_input_and_no_download_has_the_closed_form() -> None:
    """With slowdowns of 1 and no round trip, the gain at B0 = J / (D - S); see `cic.decision.payoff`."""
    box = Box(uplink=(1e4, 1e9), downlink_ratio=(1, 1), rtt=(0, 0), device_slowdown=(1, 1), server_slowdown=(1, 1))
    device, server, split = (1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.1, 1e6, 0.0, 1.0), (0.2, 0.1, 2e5, 0.0, 1.0)
    found = box_gain([device, server], [split], box)
    assert found is not None
    assert math.isclose(found.conditions[0], 1e6 / 0.9, rel_tol=1e-6)
    assert math.isclose(found.factor, 1 / (0.3 + 0.2 * 0.9), rel_tol=1e-6)
