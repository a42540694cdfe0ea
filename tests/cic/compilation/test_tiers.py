"""`compile_tiers`: what the table decides is the optimum for the links at hand, and with two tiers what `compile` decides."""

from __future__ import annotations

import random

import pytest
import torch

import cic
from cic.compilation.tiers import lower_tiers
from cic.cost.pricing import price
from cic.decision.tiered_model import TieredModel
from cic.errors import ArgumentError, CompileError, UnitError
from mincut.tiers import TierPrices, solve_tiers
from tests.cic.tiered_parts import TIERS, Shrinking


@pytest.fixture(scope="module")
def traced() -> cic.trace.traced.Traced:  # type: ignore[name-defined]
    torch.manual_seed(0)
    return cic.trace_model(Shrinking().eval(), (torch.randn(1, 3, 256, 256),))


@pytest.fixture(scope="module")
def model(traced: object) -> TieredModel:
    return cic.compile_tiers(traced, tiers=TIERS, rtts=("2ms", "10ms"))


def test_each_decision_is_the_optimum(traced: object, model: TieredModel) -> None:
    """Against one minimum cut at the conditions at hand."""
    graph = traced.graph  # type: ignore[attr-defined]
    problem = lower_tiers(graph, [price(graph, machine) for machine in TIERS])
    rng, cuts = random.Random(3), set()
    for _ in range(60):
        # Bytes of whole picoseconds, so that prices are exact.
        ps = [rng.choice([1, 1, 10, 100]) * rng.randint(800, 90_000) for _ in range(2)]
        rtt_ns = [rng.choice([0, 10**5, 10**6]) for _ in range(2)]
        decision = model.decide([8e12 / each for each in ps], rtt=[each / 1e9 for each in rtt_ns])
        at = TierPrices((1000,) * 3, tuple(ps), tuple(ps), tuple(1000 * each for each in rtt_ns))
        assert decision.optimal
        assert decision.latency_s == pytest.approx(solve_tiers(problem, at).cost / 1e12, rel=1e-6)
        cuts.add(decision.cut_id)
    assert len(cuts) > 2


def test_two_tiers_decide_as_a_device_and_a_server(traced: object) -> None:
    two = cic.compile_tiers(traced, tiers=TIERS[:2])
    usual = cic.compile(traced, device=TIERS[0], server=TIERS[1])
    for bps in (1e5, 3e6, 2e7, 1e8, 1e9, 9e9):
        assert two.decide([bps]).latency_s == pytest.approx(usual.decide(bps).latency_s, rel=1e-9)


def test_pins_and_private_tensors_name_machines(traced: object, model: TieredModel) -> None:
    first, *_, last = model.op_names
    middle = model.op_names[2]
    pinned = cic.compile_tiers(traced, tiers=TIERS, pins={first: 0, middle: 1, last: 2})
    for cut in pinned.cuts:
        places = [cut.tier_of[model.op_names.index(name)] for name in (first, middle, last)]
        assert places == ["0", "1", "2"]
    private = traced.graph.inputs[0]  # type: ignore[attr-defined]
    at_home = cic.compile_tiers(traced, tiers=TIERS, private={private: 0})
    assert all(cut.tier_of[0] == "0" for cut in at_home.cuts)
    not_far = cic.compile_tiers(traced, tiers=TIERS, private={private: 1})
    assert {cut.tier_of[0] for cut in not_far.cuts} == {"0", "1"}


def test_what_cannot_be_asked_is_refused(traced: object) -> None:
    with pytest.raises(ArgumentError, match="tiers has 1 machines"):
        cic.compile_tiers(traced, tiers=TIERS[:1])
    with pytest.raises(ArgumentError, match="tiers is 'tesla-v100'"):
        cic.compile_tiers(traced, tiers="tesla-v100")
    with pytest.raises(CompileError, match="for each of the 2 links"):
        cic.compile_tiers(traced, tiers=TIERS, rtts=["1ms"])
    with pytest.raises(CompileError, match=r"uplinks\[1\] runs from 1e\+07 down to 1e\+06"):
        cic.compile_tiers(traced, tiers=TIERS, uplinks=[("1Mbps", "2Mbps"), ("10Mbps", "1Mbps")])
    with pytest.raises(CompileError, match=r"uplinks\[0\] must be a pair"):
        cic.compile_tiers(traced, tiers=TIERS, uplinks=["1Mbps", ("10Mbps", "1Mbps")])
    with pytest.raises(UnitError, match=r"rtts\[1\]"):
        cic.compile_tiers(traced, tiers=TIERS, rtts=["1ms", "2 parsec"])
    with pytest.raises(CompileError, match="pins has 3 for 'a'; give the number of a machine, 0 to 2"):
        cic.compile_tiers(traced, tiers=TIERS, pins={"a": 3})
    with pytest.raises(CompileError, match="pins is"):
        cic.compile_tiers(traced, tiers=TIERS, pins=["a"])
    with pytest.raises(CompileError, match="does not have"):
        cic.compile_tiers(traced, tiers=TIERS, pins={"nowhere": 1})


def test_a_budget_that_runs_out_is_told_by_decisions(traced: object) -> None:
    assert not cic.compile_tiers(traced, tiers=TIERS, most_minimum_cuts=3).decide(["1Mbps", "1Mbps"]).optimal
