"""Cuts for streams come into a table, under codecs and accuracy targets too, and `verify` and `reproved` know of them."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import cic
from benchmarks.harness.random_problems import network_shaped
from cic.compilation import stream_cuts
from cic.compilation.reproof import reproved
from cic.compilation.stream_cuts import stream_box, with_stream_cuts
from cic.compilation.verification import verify
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.decision.throughput import ThroughputDecision
from cic.errors import ArgumentError, ArtifactError, CompileError
from mincut.stage_front import stage_front
from tests.cic.hand_made import splitting_model


@pytest.fixture(scope="module")
def hand_made() -> SplittingModel:
    return with_stream_cuts(splitting_model(network_shaped(random.Random(90), 30), Box()), stream_box(Box()))


def test_known_cuts_keep_their_ids_and_new_ones_have_others(hand_made: SplittingModel) -> None:
    before = splitting_model(network_shaped(random.Random(90), 30), Box())
    assert {cut.id: cut.features for cut in before.cuts}.items() <= {cut.id: cut.features for cut in hand_made.cuts}.items()
    assert hand_made.table.stream is not None and hand_made.table.stream.extra
    extra = [hand_made.cuts[place] for place in hand_made.table.stream.extra]
    assert not {cut.id for cut in extra} & {cut.id for cut in before.cuts}
    assert [cut.features for cut in hand_made.table.searched] == [cut.features for cut in before.cuts]


def test_verify_finds_a_cut_for_streams_that_is_missing(hand_made: SplittingModel) -> None:
    assert verify(hand_made).cuts == len(hand_made.cuts)
    stream = hand_made.table.stream
    assert stream is not None
    wider = hand_made.table.replaced(stream=stream.replaced(box=Box(server_slowdown=(0.25, 50))))
    with pytest.raises(ArtifactError, match="its box for streams"):
        verify(SplittingModel(wider, hand_made.graph))


def test_after_other_times_the_cuts_for_streams_are_found_anew(hand_made: SplittingModel) -> None:
    graph = hand_made.graph()
    slower = graph.replaced(ops=tuple(op.replaced(server_ns=3 * op.server_ns + op.device_ns // 9) for op in graph.ops))
    again = reproved(hand_made, slower)
    assert again.table.stream is not None and again.table.stream.box is stream_box_of(hand_made)
    verify(again)
    decision = again.decide("20Mbps", objective="throughput")
    assert decision.optimal and decision.source == "table"


def stream_box_of(model: SplittingModel) -> Box:
    assert model.table.stream is not None
    return model.table.stream.box


def test_too_rich_a_box_is_refused_with_a_remedy(hand_made: SplittingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(*arguments: object, **options: object) -> object:
        return stage_front(*arguments, **{**options, "most_partial": 1})  # type: ignore[arg-type]

    monkeypatch.setattr(stream_cuts, "stage_front", poor)
    with pytest.raises(CompileError, match="narrower slowdowns"):
        with_stream_cuts(splitting_model(network_shaped(random.Random(90), 30), Box()), Box())


class Branching(nn.Module):
    """Two branches of which one shrinks what it reads early."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 4, 3, 2), nn.Conv2d(16, 4, 5, 2, 1)
        self.last = nn.Linear(8 * 13 * 13, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.last(torch.cat((torch.relu(self.left(x)), torch.relu(self.right(x))), 1).flatten(1))


def test_a_model_is_compiled_for_streams_with_codecs_and_an_accuracy_target() -> None:
    torch.manual_seed(0)
    model, inputs = Branching().eval(), torch.rand(1, 3, 30, 30)
    machines = {"device": "raspberry-pi-4", "server": "epyc-7742"}
    for precision in (None, "int4", cic.Precision("int4", [inputs], "rel<=0.05")):
        compiled = cic.compile(model, (inputs,), **machines, precision=precision, throughput=True)
        verify(compiled)
        latency = cic.compile(model, (inputs,), **machines, precision=precision)
        for uplink in ("200kbps", "5Mbps", "100Mbps"):
            decision, other = (each.decide(uplink, objective="throughput") for each in (compiled, latency))
            assert isinstance(decision, ThroughputDecision) and isinstance(other, ThroughputDecision)
            assert (decision.source, other.source) == ("table", "solver") and decision.optimal and other.optimal
            assert decision.interval_s == pytest.approx(other.interval_s, rel=1e-9)
    with pytest.raises(ArgumentError, match="throughput is"):
        cic.compile(model, (inputs,), **machines, throughput="yes")  # type: ignore[arg-type]
