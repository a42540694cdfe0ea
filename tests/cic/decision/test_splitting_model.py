"""`decide` gives the optimum for any conditions: in the box from the table, outside it or with other op times by solving."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.random_problems import network_shaped, small_problem
from cic.decision.conditions import Box, Conditions
from cic.decision.cut_table import just_above
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError, UnitError
from tests.cic.decision.brute_force import AMOUNTS, lowest_latency, numbers
from tests.cic.hand_made import lowered, splitting_model


def test_look_ups_equal_brute_force_everywhere_in_the_box() -> None:
    rng, box = random.Random(30), Box()
    for _ in range(120):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(15):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server)
            assert decision.source == "table"
            assert decision.optimal
            assert decision.latency_s <= lowest_latency(plain, conditions) * (1 + 1e-7) + 1e-15


def test_the_bandwidth_alone_gives_the_same_as_all_defaults_spelt_out() -> None:
    rng, box = random.Random(31), Box()
    for _ in range(60):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        ratio, rtt = rng.choice([1.0, 3.0, 10.0]), rng.choice([0.0, 0.02])
        model = splitting_model(plain, box, rtt, ratio)
        for _ in range(15):
            uplink = random_conditions(rng, box)[0]
            short, long = model.decide(uplink), model.decide(uplink, rtt, uplink * ratio, 1.0, 1.0)
            assert short.latency_s == pytest.approx(long.latency_s, rel=1e-9, abs=1e-15)
            assert short.latency_s == pytest.approx(lowest_latency(plain, (uplink, uplink * ratio, rtt, 1.0, 1.0)), rel=1e-7)
            assert model.decide(f"{uplink!r}bps").cut is short.cut


def test_never_slower_than_one_machine_alone_and_faster_links_never_hurt() -> None:
    rng, box = random.Random(34), Box()
    for _ in range(30):
        plain = network_shaped(rng, rng.randint(10, 120))
        model = splitting_model(plain, box)
        low = lowered(plain)
        everything, nothing = (np.full(plain.op_count, side) for side in (True, False))
        previous = math.inf
        for step in range(60):
            uplink = 5e4 * 2e5 ** (step / 59) * (1 - 1e-12)
            latency = model.decide(max(uplink, 5e4)).latency_s
            for side in (everything, nothing):
                device, server, upload, download, _ = low.problem.features(side)
                assert latency <= (device + server) * 1e-9 + (upload + download) * 8 / uplink + 1e-12
            assert latency <= previous * (1 + 1e-12)
            previous = latency


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-300, 1e18, "fast", None, True, 0.0])
def test_bad_bandwidths_are_refused(model: SplittingModel, bad: object) -> None:
    with pytest.raises(UnitError):
        model.decide(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"rtt": -1.0},
        {"rtt": "soon"},
        {"downlink": 0.0},
        {"downlink": float("nan")},
        {"device_slowdown": 0.0},
        {"device_slowdown": float("nan")},
        {"server_slowdown": -1.0},
        {"server_slowdown": float("inf")},
    ],
)
@pytest.mark.parametrize("others", [{}, {"rtt": 0.01, "downlink": 2e7, "device_slowdown": 1.0, "server_slowdown": 1.0}])
def test_bad_conditions_are_refused(model: SplittingModel, arguments: dict[str, object], others: dict[str, float]) -> None:
    with pytest.raises(UnitError):
        model.decide(1e7, **{**others, **arguments})  # type: ignore[arg-type]


def test_just_above_is_the_next_float() -> None:
    rng = random.Random(6)
    edges = [2.0**power for power in range(-26, 47)]
    for number in [*edges, *(math.nextafter(edge, 0) for edge in edges), *(rng.uniform(1, 2) * edge for edge in edges * 99)]:
        assert just_above(number) == math.nextafter(number, math.inf)


def test_among_some_cuts_the_fastest_of_them_is_chosen() -> None:
    rng, box = random.Random(35), Box()
    judged = {True: 0, False: 0}
    for _ in range(60):
        model = splitting_model(numbers(small_problem(rng, 8, amounts=AMOUNTS)), box)
        for _ in range(10):
            conditions = Conditions(*random_conditions(rng, box))
            ids = rng.sample(sorted(model.cut_by_id), rng.randint(1, len(model.cut_by_id)))
            uplink, downlink, rtt, device, server = conditions.numbers
            decision = model.decide(uplink, rtt, downlink, device, server, among=ids)
            best = model.decide(uplink, rtt, downlink, device, server)
            assert decision.cut_id in ids
            assert decision.latency_s == min(cut.latency_s(conditions) for cut in model.cuts if cut.id in ids)
            assert decision.optimal == (decision.latency_s <= min(cut.latency_s(conditions) for cut in model.cuts))
            assert decision.latency_s >= best.latency_s * (1 - 1e-12)
            judged[decision.optimal] += 1
    assert min(judged.values()) > 50


def test_costs_rank_all_cuts_or_some(model: SplittingModel) -> None:
    conditions = model.default_conditions(2e7)
    ranked = model.costs(conditions)
    assert [latency for latency, _ in ranked] == sorted(cut.latency_s(conditions) for cut in model.cuts)
    assert {id(cut) for _, cut in ranked} == {id(cut) for cut in model.cuts}
    some = {ranked[-1][1].id}
    assert model.costs(conditions, some) == [(latency, cut) for latency, cut in ranked if cut.id in some]


def test_outside_the_box_a_cut_among_some_is_only_the_best_known(model: SplittingModel) -> None:
    decision = model.decide(1e3, among=list(model.cut_by_id))
    assert not decision.optimal
    assert decision.latency_s == model.costs(decision.conditions)[0][0]


@pytest.mark.parametrize("ids", [[], ["no-such-cut"], "device-only", ()])
def test_among_no_cut_of_the_table_is_refused(model: SplittingModel, ids: list[str]) -> None:
    with pytest.raises(DecisionError, match="ids of cuts are expected"):
        model.decide(2e7, among=ids)
    with pytest.raises(DecisionError, match="ids of cuts are expected"):
        model.costs(model.default_conditions(2e7), ids)


def test_other_op_times_are_for_all_cuts(model: SplittingModel) -> None:
    with pytest.raises(DecisionError, match="op_times and among are both given"):
        model.decide(2e7, op_times={}, among=["device-only"])
