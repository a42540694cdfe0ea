"""With a solver, decisions with a limit are optimal: they equal brute force over all closed sets."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.energy import Energy
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError
from tests.cic.decision.test_limited import asked, cases
from tests.cic.hand_made import splitting_model


def test_the_optimum_is_that_of_brute_force_over_all_closed_sets() -> None:
    solved = better = impossible = 0
    for model, conditions, objective, true, ask in cases(65, problems=40, each=4):
        try:
            decision = ask()
        except DecisionError as error:
            assert true is None and "no known" not in str(error)
            impossible += 1
            continue
        assert true is not None and decision.optimal
        assert objective.cost(decision.cut, conditions) == pytest.approx(true, rel=1e-6, abs=1e-15)
        used = decision.latency_s if objective.budget_j is None else decision.energy_j
        assert used <= objective.limit
        solved += decision.source == "solver"
        better += decision.cut not in model.cuts
    assert solved > 20, (solved, better, impossible)


def test_what_nothing_keeps_is_refused_as_proved_outside_the_box_too() -> None:
    model = splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)
    fastest = model.decide("20bps")
    with pytest.raises(DecisionError, match="no cut of hand-made keeps to"):
        model.decide("20bps", objective=Energy(0.5, 6.0, 4.0, 0.3).with_deadline(fastest.latency_s * 0.99))
    kept = model.decide("20bps", objective=Energy(0.5, 6.0, 4.0, 0.3).with_deadline(fastest.latency_s * 1.01))
    assert kept.optimal and kept.outside


def test_it_is_never_worse_than_look_ups_and_never_below_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    model = splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)
    energy, fastest = Energy(0.5, 6.0, 4.0, 0.3), model.decide("100Mbps").latency_s
    objectives = [energy.with_deadline(fastest * more) for more in (1.05, 1.1, 1.2, 1.3)]
    conditions = model.default_conditions(1e8)
    exact = [asked(model, conditions, objective) for objective in objectives]
    monkeypatch.setattr(SplittingModel, "_solve_within", lambda *_: None)
    for objective, found in zip(objectives, exact, strict=True):
        looked_up = asked(model, conditions, objective)
        assert found.optimal and found.energy_j <= looked_up.energy_j * (1 + 1e-9)
        assert found.energy_j >= looked_up.energy_j - looked_up.gap - 1e-9
        assert found.latency_s <= objective.limit
