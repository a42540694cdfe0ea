"""A table keeps a few cuts: what they lose is what sweeps over the box find at worst, and whatever else was asked for holds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from benchmarks.harness.random_problems import network_shaped
from cic.cli import main
from cic.compilation.few_cuts import with_few_cuts
from cic.compilation.reproof import reproved
from cic.compilation.verification import verify
from cic.decision.conditions import Box, Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.off_table.problem import side_of, stored_problem
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.errors import ArgumentError, ArtifactError
from tests.cic.compilation.test_reproof import with_times
from tests.cic.hand_made import changed, random_conditions, splitting_model
from tests.cic.inception import STRONG, WEAK


@pytest.fixture(scope="module")
def whole() -> SplittingModel:
    return splitting_model(network_shaped(random.Random(91), 60), Box())


def lost(whole: SplittingModel, few: SplittingModel, numbers: tuple[float, float, float, float, float]) -> float:
    """How much longer the best kept cut takes under some conditions, relative."""
    there = Conditions(*numbers)
    return few.best_of_table(*numbers).latency_s(there) / min(cut.latency_s(there) for cut in whole.cuts) - 1


def at_prices(ray: tuple[int, ...], box: Box) -> tuple[float, float, float, float, float]:
    """Conditions in the box under which what a cut uses has these prices, up to a factor, and no round trip."""
    weights = ray[0] * 1e9, ray[1] * 1e9, ray[2] / 8
    ranges = (box.device_slowdown, box.server_slowdown, tuple(1 / bps for bps in box.uplink_bps[::-1]))
    factor = max(weight / high for weight, (_, high) in zip(weights, ranges, strict=True))
    device, server, bit = (min(max(weight / factor, low), high) for weight, (low, high) in zip(weights, ranges, strict=True))
    ratio = min(max(ray[2] / ray[3], box.downlink_ratio[0]), box.downlink_ratio[1])
    return 1 / bit, ratio / bit, 0.0, device, server


@pytest.mark.parametrize("most_cuts", [2, 3, 5])
def test_the_loss_is_the_largest_in_the_box(whole: SplittingModel, most_cuts: int) -> None:
    assert len(whole.cuts) > 6
    few = with_few_cuts(whole, most_cuts)
    assert {DEVICE_ONLY, SERVER_ONLY} & set(whole.cut_by_id) <= set(few.cut_by_id) <= set(whole.cut_by_id)
    assert 2 <= len(few.cuts) <= most_cuts and few.table.few is not None and few.table.few.of == len(whole.cuts)
    loss, rng = few.proof.gap, random.Random(91)
    assert loss is not None and loss > 0.001
    assert all(lost(whole, few, random_conditions(rng, whole.box)) <= loss * (1 + 1e-9) for _ in range(2000))
    corners = [lost(whole, few, at_prices(ray, whole.box)) for ray in few.proof.rays]
    assert max(corners) == pytest.approx(loss, rel=1e-6)
    assert few.table.few.at_least == pytest.approx(loss, rel=1e-6), "no other choice loses less"


def test_more_cuts_lose_less_and_all_of_them_nothing(whole: SplittingModel) -> None:
    losses = [with_few_cuts(whole, count).proof.gap or 0.0 for count in range(2, len(whole.cuts))]
    assert losses == sorted(losses, reverse=True) and losses[0] > 2 * losses[-1]
    assert with_few_cuts(whole, len(whole.cuts)) is whole and with_few_cuts(whole, 10**6) is whole


def test_kept_cuts_stay_as_they_are_and_the_file_says_what_they_lose(whole: SplittingModel) -> None:
    few = loads(dumps(with_few_cuts(whole, 4)))
    known = {cut.id: (cut.features, cut.device_ops, cut.crossing) for cut in whole.cuts}
    assert all(known[cut.id] == (cut.features, cut.device_ops, cut.crossing) for cut in few.cuts)
    assert verify(few).gap == few.proof.gap and dumps(loads(dumps(few))) == dumps(few)
    assert b'"few"' not in dumps(whole), "a file with all cuts is no larger"
    rng = random.Random(92)
    for _ in range(100):
        numbers = random_conditions(rng, few.box)
        decision = few.decide(*(numbers[place] for place in (0, 2, 1, 3, 4)))
        assert decision.latency_s == pytest.approx(min(cut.latency_s(Conditions(*numbers)) for cut in few.cuts), rel=1e-12)
        assert not decision.optimal and decision.source == "table"
    for uplink in (1e5, 1e6, 1e7, 1e8, 1e9):
        at = few.default_conditions(uplink)
        assert few.decide(uplink).latency_s == pytest.approx(min(cut.latency_s(at) for cut in few.cuts))


def test_verify_believes_no_smaller_loss_and_no_table_without_its_proof(whole: SplittingModel) -> None:
    few = with_few_cuts(whole, 3)
    assert few.proof.gap is not None
    with pytest.raises(ArtifactError, match="the table is not optimal in its box"):
        verify(changed(few, proof=few.proof.replaced(gap=few.proof.gap * 0.9)))
    with pytest.raises(ArtifactError, match="its proof names"):
        verify(changed(few, proof=few.proof.replaced(rays=few.proof.rays[1:])))
    for wrong in ({"complete": True}, {"gap": None}):
        with pytest.raises(ArtifactError, match="few is"):
            changed(few, proof=few.proof.replaced(**wrong))
    with pytest.raises(ArtifactError, match="few is 'some'"):
        changed(few, few="some")
    with pytest.raises(ArtifactError, match=r"few\.of"):
        loads(_with_of(few, 0))


def _with_of(few: SplittingModel, of: int) -> bytes:
    assert few.table.few is not None
    return dumps(changed(few, few=few.table.few.replaced(of=of)))


def test_a_table_within_limits_of_a_part_of_the_network_loses_no_more_than_it_says(network: nn.Module) -> None:
    traced = cic.trace_model(network, (torch.rand(1, 3, 64, 64),), name="inception")
    options = {"device": WEAK, "server": STRONG, "limits": cic.Limits(weights="40kB")}
    whole, few = cic.compile(traced, **options), cic.compile(traced, **options, most_cuts=2)
    if len(whole.cut_by_id) <= 2:
        pytest.fail("the limit leaves nothing to choose from")
    _check(whole, few)


def _check(whole: SplittingModel, few: SplittingModel) -> None:
    rng = random.Random(93)
    assert len(few.cut_by_id) < len(whole.cut_by_id) and few.proof.gap is not None
    assert all(lost(whole, few, random_conditions(rng, whole.box)) <= few.proof.gap * (1 + 1e-9) for _ in range(500))
    assert verify(loads(dumps(few))).gap == few.proof.gap


def test_cuts_with_codecs_stay_with_their_side(compiled: SplittingModel) -> None:
    few = with_few_cuts(compiled, 2)
    _check(compiled, few)
    for cut_id in few.cut_by_id:
        assert [cut.codecs for cut in few.cuts if cut.id == cut_id] == [cut.codecs for cut in compiled.cuts if cut.id == cut_id]
    assert {cut.label: cut.accuracy for cut in few.cuts}.items() <= {cut.label: cut.accuracy for cut in compiled.cuts}.items()


def test_at_other_times_the_same_cuts_are_kept_and_the_loss_is_proved_anew(compiled: SplittingModel) -> None:
    few, graph = with_few_cuts(compiled, 2), with_times(compiled.graph(), 1)
    graph = graph.replaced(cuts=few.graph().cuts)
    again = reproved(few, graph)
    assert [cut.label for cut in again.cuts] == [cut.label for cut in few.cuts]
    problem = stored_problem(graph)
    for cut, ops in zip(again.cuts, graph.cuts, strict=True):
        assert cut.device_ns >= int(problem.device_ns[side_of(problem, ops)].sum())
    assert again.table.few is not None and again.table.few.at_least is None and again.table.few.of == few.table.few.of
    _check(reproved(compiled, with_times(compiled.graph(), 1)), again)


def test_one_table_of_a_few_cuts_serves_every_batch() -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 16, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 9, 10)
    model, x = nn.Sequential(*layers).eval(), torch.randn(2, 3, 18, 18)
    options = {"device": WEAK, "server": STRONG, "dynamic": {"input_1": {0: "batch"}}}
    whole, few = cic.compile(model, (x,), **options), cic.compile(model, (x,), **options, most_cuts=2)
    assert len(few.cuts) == 2 < len(whole.cuts) and few.proof.gap is not None
    for uplink in ("200kbps", "3Mbps", "40Mbps"):
        for batch in (1, 16):
            decision, best = (each.decide(uplink, batch=batch) for each in (few, whole))
            assert best.latency_s <= decision.latency_s <= best.latency_s * (1 + few.proof.gap + 1e-9)
            assert best.optimal and not decision.optimal


def test_most_cuts_that_cannot_be_kept_are_refused(network: nn.Module) -> None:
    inputs = (torch.rand(1, 3, 64, 64),)
    for most_cuts in (1, True, 2.5, "3"):
        with pytest.raises(ArgumentError, match="most_cuts is"):
            cic.compile(network, inputs, device=WEAK, server=STRONG, most_cuts=most_cuts)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="throughput is asked for"):
        cic.compile(network, inputs, device=WEAK, server=STRONG, most_cuts=3, throughput=True)


def test_commands_say_that_a_few_cuts_were_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "few.cic"
    with_few_cuts(splitting_model(network_shaped(random.Random(91), 60), Box()), 4).save(file)

    def told(*arguments: str) -> str:
        assert main([*arguments]) == 0
        printed = capsys.readouterr()
        return " ".join((printed.out + printed.err).split())

    shown = told("show", str(file))
    assert "4 of the" in shown and "cuts that can be optimal" in shown and "No other 4 lose less than" in shown
    assert "anywhere in the box the best of them takes at most" in shown and "no other cut is faster" not in shown
    assert "a few of" in told("decide", str(file), "20Mbps")
    assert "each with a flow that proves it" in told("verify", str(file))
    told("export", str(file), "--format", "python", "-o", str(tmp_path / "few.py"))
    assert "a few of" in (tmp_path / "few.py").read_text()
    assert '"few": {' in told("show", "--json", str(file))
