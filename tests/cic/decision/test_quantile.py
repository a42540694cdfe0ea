"""A decision by a quantile has the least bound of all closed sets where it says so, and is refused where nothing is known."""

from __future__ import annotations

import pickle
import random
from dataclasses import dataclass
from math import inf

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, small_problem
from cic.decision.conditions import Box
from cic.decision.cut import DEVICE_ONLY
from cic.decision.energy import Energy
from cic.decision.quantile import QuantileDecision
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError
from tests.cic.decision.brute_force import AMOUNTS, numbers
from tests.cic.hand_made import random_conditions, splitting_model, unfinished
from tests.oracles.brute_force import closed_sets


@dataclass
class Known:
    """Factors that stand for what records say."""

    device: float
    server: float

    def factor(self, quantile: float, *, offloads: bool) -> float:
        return self.server if offloads else self.device

    def count(self, *, offloads: bool) -> int:
        return 3


def lowest_bound(plain: PlainProblem, conditions: tuple[float, ...], known: Known) -> float:
    uplink, downlink, rtt, device, server = conditions
    features = closed_sets(plain).features
    latencies = features @ np.array([device * 1e-9, server * 1e-9, 8 / uplink, 8 / downlink, rtt])
    return float((latencies * np.where(features[:, 4] > 0, known.server, known.device)).min())


def test_where_it_is_said_to_be_optimal_no_closed_set_has_a_lower_bound() -> None:
    rng, box, proved, others = random.Random(50), Box(), 0, 0
    for _ in range(60):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(10):
            known = Known(rng.lognormvariate(0.2, 0.5), rng.lognormvariate(0.3, 0.7))
            conditions = uplink, downlink, rtt, device, server = random_conditions(rng, box)
            decision = model.decide(uplink, rtt, downlink, device, server, quantile=0.95, intervals=known)
            assert isinstance(decision, QuantileDecision) and decision.quantile == 0.95
            factor = known.factor(0.95, offloads=bool(decision.cut.offloads))
            assert decision.upper_s == pytest.approx(factor * decision.latency_s)
            truly = lowest_bound(plain, conditions, known)
            assert decision.upper_s >= truly * (1 - 1e-9)
            if decision.optimal:
                assert decision.upper_s <= truly * (1 + 1e-9)
            proved += decision.optimal
            others += decision.cut.id != model.decide(uplink, rtt, downlink, device, server).cut.id
    assert proved > 300 and others > 5, "a decision by a quantile is often another one than that by latency"


def test_among_some_cuts_the_best_of_these_is_answered(model: SplittingModel) -> None:
    known = Known(1.1, 1.3)
    for uplink in (1e5, 1e6, 1e7, 1e8):
        for cut in model.cuts:
            decision = model.decide(uplink, among=[cut.id], quantile=0.9, intervals=known)
            assert isinstance(decision, QuantileDecision) and decision.cut.id == cut.id
            assert decision.upper_s >= model.decide(uplink, quantile=0.9, intervals=known).upper_s * (1 - 1e-9)  # type: ignore[attr-defined]


def test_a_side_of_which_nothing_is_known_is_not_chosen(model: SplittingModel) -> None:
    for uplink in (1e5, 1e7, 1e9):
        assert model.decide(uplink, quantile=0.9, intervals=Known(1.5, inf)).cut_id == DEVICE_ONLY
        assert model.decide(uplink, quantile=0.9, intervals=Known(inf, 1.5)).cut_id != DEVICE_ONLY


def test_what_is_answered_can_be_shown_and_kept(model: SplittingModel) -> None:
    decision = model.decide(1e6, quantile=0.95, intervals=Known(1.2, 1.4))
    assert isinstance(decision, QuantileDecision)
    assert decision.why.startswith(decision.cut.label) and decision.why.endswith(" in 0.95 of all cases")
    again = pickle.loads(pickle.dumps(decision))  # noqa: S301
    names = ("cut_id", "upper_s", "quantile", "source", "optimal", "why", "latency_s")
    assert [getattr(again, name) for name in names] == [getattr(decision, name) for name in names]


def test_questions_that_do_not_fit_together_are_refused(model: SplittingModel) -> None:
    known = Known(1.2, 1.4)
    for quantile in (0.0, 1.0, -0.5, float("nan"), 95, "95%", True):
        with pytest.raises(DecisionError, match="a number between 0 and 1 is expected"):
            model.decide(1e6, quantile=quantile, intervals=known)  # type: ignore[arg-type]
    with pytest.raises(DecisionError, match="quantile is None"):
        model.decide(1e6, intervals=known)
    for intervals in (None, 1.2, "run.jsonl"):
        with pytest.raises(DecisionError, match=r"quantile is 0\.95 and intervals is .*from_records"):
            model.decide(1e6, quantile=0.95, intervals=intervals)  # type: ignore[arg-type]
    for other in ({"objective": Energy(1, 1, 1, 1)}, {"batch": 2}, {"op_times": {}}):
        with pytest.raises(DecisionError, match="leave the others out"):
            model.decide(1e6, quantile=0.95, intervals=known, **other)  # type: ignore[arg-type]
    with pytest.raises(DecisionError, match=r"too few inferences are recorded .*: 3 of the device alone and 3 of the server"):
        model.decide(1e6, quantile=0.95, intervals=Known(inf, inf))


def test_an_unproved_table_has_no_proved_bounds() -> None:
    model = unfinished(splitting_model(network_shaped(random.Random(1), 40), Box()))
    assert not model.decide(1e7, quantile=0.95, intervals=Known(1.2, 1.2)).optimal
