"""Decisions with a limit: never worse than they say, against brute force over all closed sets."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box, Conditions
from cic.decision.energy import Energy, Limited
from cic.decision.equivalent import SECONDS
from cic.decision.limited import LimitedDecision, largest_bound
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError, UnitError
from tests.cic.decision.brute_force import AMOUNTS, numbers, priced
from tests.cic.hand_made import random_conditions, splitting_model, unfinished


@pytest.fixture(autouse=True)
def without_a_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device that has nothing but Python."""
    monkeypatch.setattr(SplittingModel, "_solve_within", lambda *_: None)


USUAL = Energy(compute_w=4.2, send_w=3.1, receive_w=2.9, wait_w=2.4)


def least(plain: PlainProblem, conditions: Conditions, objective: Limited) -> float | None:
    """By trying every closed set; None if none keeps the limit."""
    costs, used = (priced(plain, conditions, prices(conditions)) for prices in (objective.least, objective.used))
    return float(costs[used <= objective.limit].min()) if (used <= objective.limit).any() else None


def drawn(rng: random.Random, plain: PlainProblem, conditions: Conditions) -> Limited:
    """With a limit that some closed sets keep, mostly."""
    watts = [10 ** rng.uniform(-1, 1) for _ in range(4)]
    energy = Energy(*watts, second_w=rng.choice([0.0, 0.0, 2.0]))
    prices = rng.choice([SECONDS, energy.powers(conditions)])
    each = priced(plain, conditions, prices)
    limit = float(np.quantile(each, rng.random()) * rng.choice([0.999, 1.001])) + 1e-12
    return energy.with_deadline(limit) if prices is SECONDS else energy.with_budget(limit)


def asked(model: SplittingModel, conditions: Conditions, objective: Limited, **given: object) -> LimitedDecision:
    uplink, downlink, rtt, device, server = conditions.numbers
    decision = model.decide(uplink, rtt, downlink, device, server, objective=objective, **given)  # type: ignore[arg-type]
    assert isinstance(decision, LimitedDecision)
    return decision


def cases(
    seed: int, problems: int, each: int
) -> Iterator[tuple[SplittingModel, Conditions, Limited, float | None, Callable[[], LimitedDecision]]]:
    """Small random problems under random conditions and limits: with the optimum by brute force, and what asks for ours."""
    rng, box = random.Random(seed), Box()
    for _ in range(problems):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(each):
            conditions = Conditions(*random_conditions(rng, box))
            objective = drawn(rng, plain, conditions)
            yield (
                model,
                conditions,
                objective,
                least(plain, conditions, objective),
                partial(asked, model, conditions, objective),
            )


def test_the_optimum_by_brute_force_lies_between_both_bounds() -> None:
    optimal = open_ = impossible = 0
    for _, conditions, objective, true, ask in cases(60, problems=50, each=8):
        try:
            decision = ask()
        except DecisionError as error:
            # Where the table is proved to hold what uses least, nothing keeps the limit indeed.
            assert true is None or "no known cut" in str(error)
            impossible += true is None
            continue
        assert true is not None
        cost, slack = objective.cost(decision.cut, conditions), 1e-6 * true + 1e-15
        used = decision.latency_s if objective.budget_j is None else decision.energy_j
        assert used <= objective.limit
        assert cost - decision.gap - slack <= true <= cost + slack
        assert decision.optimal == (decision.gap == 0)
        optimal += decision.optimal
        open_ += not decision.optimal
    assert optimal > 100 and open_ > 20 and impossible > 5, (optimal, open_, impossible)


def test_a_limit_that_does_not_bind_gives_the_optimum_without_one(model: SplittingModel) -> None:
    for uplink in (1e5, 1e6, 1e7, 1e9):
        free = model.decide(uplink, objective=USUAL)
        within = model.decide(uplink, objective=USUAL.with_deadline(free.latency_s * 1.001))
        assert within.cut is free.cut and within.optimal
        fastest = model.decide(uplink)
        assert model.decide(uplink, objective=USUAL.with_budget("1kJ")).cut is fastest.cut


def test_less_time_never_takes_less_energy(model: SplittingModel) -> None:
    # Found by look-ups: both bounds rise as the deadline falls.
    energy, fastest = Energy(compute_w=0.5, send_w=6.0, receive_w=4.0, wait_w=0.3), model.decide("100Mbps").latency_s
    found = [
        asked(model, model.default_conditions(1e8), energy.with_deadline(fastest * more))
        for more in (3.0, 1.4, 1.3, 1.2, 1.1, 1.01, 1.0001)
    ]
    for before, after in pairwise(found):
        assert after.energy_j >= before.energy_j
        assert after.energy_j - after.gap >= (before.energy_j - before.gap) * (1 - 1e-9)
    assert found[-1].energy_j > found[0].energy_j and not all(decision.optimal for decision in found)


def test_what_no_cut_keeps_is_refused_with_the_cut_that_comes_nearest(model: SplittingModel) -> None:
    fastest = model.decide("3Mbps")
    with pytest.raises(DecisionError, match=rf"no cut of .* keeps to .* the fastest, {fastest.cut.label}, takes"):
        model.decide("3Mbps", objective=USUAL.with_deadline(fastest.latency_s * 0.99))
    frugal = model.decide("3Mbps", objective=USUAL)
    with pytest.raises(DecisionError, match=rf"the most frugal, {frugal.cut.label}, takes"):
        model.decide("3Mbps", objective=USUAL.with_budget(frugal.energy_j * 0.99))  # type: ignore[attr-defined]
    with pytest.raises(DecisionError, match="no known cut"):
        unfinished(model).decide("3Mbps", objective=USUAL.with_deadline(fastest.latency_s * 0.99))


def test_among_some_cuts_the_bound_is_still_that_of_all(model: SplittingModel) -> None:
    conditions = model.default_conditions(3e6)
    dearest = max(model.cuts, key=lambda cut: USUAL.joules(cut, conditions))
    decision = asked(model, conditions, USUAL.with_deadline("100s"), among=[dearest.id])
    assert decision.cut is dearest and not decision.optimal
    least_j = asked(model, conditions, USUAL.with_deadline("100s")).energy_j
    assert decision.energy_j - decision.gap == pytest.approx(least_j)


def test_an_unfinished_table_proves_nothing(model: SplittingModel) -> None:
    decision = asked(unfinished(model), model.default_conditions(3e6), USUAL.with_deadline("100s"))
    assert not decision.optimal and decision.gap == pytest.approx(decision.energy_j)


def test_an_answer_says_why_and_survives_pickling(model: SplittingModel) -> None:
    decision = asked(model, model.default_conditions(3e6), USUAL.with_deadline("100s"))
    assert "within 100 s" in decision.why and decision.cut.label in decision.why
    again = pickle.loads(pickle.dumps(decision))  # noqa: S301 - of this test's own making
    assert (again.why, again.gap, again.energy_j) == (decision.why, decision.gap, decision.energy_j)
    assert "budget_j=2" in repr(USUAL.with_budget("2J")) and "deadline_s=0.08" in repr(USUAL.with_deadline("80ms"))


def test_op_times_are_refused_by_name(model: SplittingModel) -> None:
    with pytest.raises(DecisionError, match="op_times are given together"):
        model.decide("3Mbps", op_times={"op0": (1.0, 1.0)}, objective=USUAL.with_deadline("1s"))


@pytest.mark.parametrize("bad", ["80", "-1ms", "80mJ", float("nan")])
def test_limits_that_cannot_be_understood_are_refused(bad: str | float) -> None:
    with pytest.raises(UnitError, match="deadline"):
        USUAL.with_deadline(bad)
    with pytest.raises(UnitError, match="budget"):
        USUAL.with_budget("80ms" if bad == "80mJ" else bad)


def test_no_weight_gives_a_larger_bound() -> None:
    rng = random.Random(61)
    for _ in range(200):
        points = [(rng.randrange(1, 30), rng.randrange(1, 30)) for _ in range(rng.randrange(1, 9))]
        limit = min(used for _, used in points) + rng.choice([0, 3, 9])
        low = rng.choice([0.0, 0.3, 2.0])
        high = rng.choice([low, low + 1.0, low + 50.0])
        found = largest_bound(points, limit, (low, high), 0.0)
        tried = [
            min(cost + weight * (used - limit) for cost, used in points) for weight in np.linspace(low, high, 500).tolist()
        ]
        assert found >= max(tried) - 1e-9
        assert found <= min(cost for cost, used in points if used <= limit) + 1e-9
