"""Whether a split pays: each exact answer against a dense sweep of bandwidths, and the closed form for one form of input."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box
from cic.decision.payoff import Payoff, payoff, payoff_of, splits_of
from cic.errors import CompileError
from tests.cic.hand_made import splitting_model

Line = tuple[float, float]

UPLINK = (1e4, 1e9)
seconds = st.floats(1e-4, 10)
bits = st.floats(0, 1e7)
lines = st.tuples(seconds, bits)


def found(device: Line | None, server: list[Line], splits: list[Line]) -> Payoff:
    result = payoff(device, server, splits, [split[1] for split in splits], UPLINK)
    assert result is not None
    return result


def sweep() -> list[float]:
    low, high = map(math.log, UPLINK)
    return [math.exp(low + (high - low) * step / 500) for step in range(501)]


def at(line: Line, bps: float) -> float:
    return line[0] + line[1] / bps


@given(seconds, st.lists(lines, min_size=1, max_size=3), st.lists(lines, min_size=1, max_size=5))
def test_no_bandwidth_gains_more_and_windows_hold_every_win(device_s: float, server: list[Line], splits: list[Line]) -> None:
    device = (device_s, 0.0)
    result = found(device, server, splits)
    for bps in sweep():
        baseline_s = min(at(line, bps) for line in (device, *server))
        split_s = [at(split, bps) for split in splits]
        for gain, taken_s in zip(result.gains, split_s, strict=True):
            assert baseline_s / taken_s <= gain.factor * (1 + 1e-9)
        inside = any(low < bps < high for low, high in result.windows)
        if min(split_s) < baseline_s * (1 - 1e-9):
            assert inside
        if min(split_s) > baseline_s * (1 + 1e-9):
            assert not inside
    for gain, split in zip(result.gains, splits, strict=True):
        reached = min(at(line, gain.uplink_bps) for line in (device, *server)) / at(split, gain.uplink_bps)
        assert reached == pytest.approx(gain.factor)


@given(seconds, st.lists(lines, min_size=1, max_size=3), lines)
def test_a_split_wins_somewhere_if_and_only_if_its_upload_is_within_its_budget(
    device_s: float, server: list[Line], split: Line
) -> None:
    result = found((device_s, 0.0), server, [split])
    budget_bits = result.budgets[0] * 8
    if split[1] < budget_bits * (1 - 1e-6) - 1e-6:
        assert result.gains[0].factor > 1 and result.windows
    if split[1] > budget_bits * (1 + 1e-6) + 1e-6:
        assert result.gains[0].factor < 1 and not result.windows


@given(st.floats(0.1, 10), st.floats(1e-3, 0.09), st.floats(2e5, 1e6), seconds, st.floats(1, 1e6))
def test_one_form_of_the_input_has_the_closed_form(
    device_s: float, server_s: float, input_bits: float, compute_s: float, payload_bits: float
) -> None:
    tie_bps = input_bits / (device_s - server_s)
    result = found((device_s, 0.0), [(server_s, input_bits)], [(compute_s, payload_bits)])
    assert UPLINK[0] < tie_bps < UPLINK[1]
    assert result.tie_bps == (pytest.approx(tie_bps),)
    there = device_s / (compute_s + payload_bits / input_bits * (device_s - server_s))
    budget = input_bits * (device_s - compute_s) / (device_s - server_s)
    fastest = (server_s + input_bits / UPLINK[1]) / (compute_s + payload_bits / UPLINK[1])
    if server_s < compute_s < device_s:
        assert result.gains[0].factor == pytest.approx(max(there, fastest))
        assert result.budgets[0] * 8 == pytest.approx(budget)
    if server_s < compute_s < device_s and payload_bits < budget:  # a split that loses everywhere may lose least elsewhere
        assert result.gains[0].uplink_bps == pytest.approx(tie_bps)


def test_a_split_that_only_ties_does_not_pay() -> None:
    result = found((1.0, 0.0), [(0.1, 1e6)], [(1.0, 0.0)])
    assert result.windows == () and result.best is None and result.gains[0].factor == pytest.approx(1)


def test_without_an_extreme_there_is_nothing_to_compare_with() -> None:
    assert payoff(None, [], [(1.0, 1.0)], [1.0], UPLINK) is None
    only_server = payoff(None, [(0.1, 1e6)], [(0.2, 1e5)], [1e5], UPLINK)
    assert only_server is not None and only_server.tie_bps == () and only_server.best == 0


def test_a_split_that_takes_no_time_gains_nothing_over_nothing() -> None:
    assert found((0.0, 0.0), [], [(0.0, 0.0)]).gains[0].factor == 1


def test_windows_of_a_table_are_where_decide_splits() -> None:
    """On random models: inside a window `decide` answers a split that beats both extremes, outside it answers an extreme."""
    rng, inside, outside = random.Random(5), 0, 0
    while inside < 300 or outside < 300:
        try:
            model = splitting_model(small_problem(rng, 8), Box(uplink=(1e4, 1e9)), rtt_s=rng.choice([0.0, 0.01]))
        except CompileError:
            continue
        result = payoff_of(model)
        if result is None:
            continue
        assert len(result.gains) == len(result.budgets) == len(splits_of(model))
        for bps in sweep()[1:-1:50]:
            latency = {cut.label: cut.latency_s(model.default_conditions(bps)) for cut in model.cuts}
            baseline_s = min(latency[cut.label] for cut in model.cuts if cut not in splits_of(model))
            chosen = model.decide(bps).cut
            if any(low * (1 + 1e-9) < bps < high * (1 - 1e-9) for low, high in result.windows):
                inside += 1
                assert chosen in splits_of(model) and latency[chosen.label] <= baseline_s
            elif not any(low * (1 - 1e-9) <= bps <= high * (1 + 1e-9) for low, high in result.windows):
                outside += 1
                assert latency[chosen.label] >= baseline_s * (1 - 1e-9)
