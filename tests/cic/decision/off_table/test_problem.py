"""The solver knows the codecs of a stored graph, and uses no more than was shown to keep the accuracy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec, stage_of
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.precision.precision import Precision
from tests.cic.inception import STRONG, WEAK


def test_the_file_keeps_codecs_and_accuracy_and_the_solver_knows_them(compiled: SplittingModel, tmp_path: Path) -> None:
    compiled.save(tmp_path / "m.cic")
    loaded = cic.load(tmp_path / "m.cic")
    assert [(cut.label, cut.features, cut.accuracy) for cut in loaded.cuts] == [
        (cut.label, cut.features, cut.accuracy) for cut in compiled.cuts
    ]
    for bandwidth in ("100kbps", "1Mbps", "20Mbps", "300Mbps"):
        decision = loaded.decide(bandwidth)
        assert list(decision.codecs) == list(decision.crossing)
        solved = loaded.decide(
            bandwidth, op_times={op.name: (op.device_ns / 1e9, op.server_ns / 1e9) for op in loaded.graph().ops}
        )
        assert solved.source == "solver"
        assert solved.latency_s == pytest.approx(decision.latency_s, rel=1e-6)
        assert solved.cut.codecs == decision.cut.codecs or solved.latency_s == pytest.approx(decision.latency_s)


def test_decisions_beyond_the_table_lose_no_more_than_some_cut_of_it(network: nn.Module, images: torch.Tensor) -> None:
    """What was never run keeps nobody knows what: a table for slow links holds no cut for fast ones."""
    narrow = Box(uplink=("10kbps", "20kbps"))
    for target in ("top1>=0.01", "rel<=0.5"):
        made = cic.compile(
            network, (images[:1],), device=WEAK, server=STRONG, box=narrow, precision=Precision(None, [images[:4]], target)
        )
        shown = {frozenset(losses(cut.codec_of)) for cut in made.cuts}
        for uplink in (1e6, 5e6, 20e6, 100e6, 1e9):
            decision = made.decide(uplink)
            assert decision.source == "solver"
            assert any(frozenset(losses(decision.codecs)) <= each for each in shown)
    free = cic.compile(
        network, (images[:1],), device=WEAK, server=STRONG, box=narrow, precision=Precision("int4", [images[:4]])
    )
    assert losses(free.decide(100e6).codecs), "where nothing was asked for, every codec is allowed"


def losses(codecs: dict[str, str]) -> set[tuple[str, str]]:
    return {(tensor, stage_of(name)) for tensor, name in codecs.items() if not codec(name).lossless}


def test_a_solved_cut_with_other_codecs_keeps_the_id_of_its_halves(network: nn.Module, images: torch.Tensor) -> None:
    narrow = cic.compile(
        network,
        (images[:1],),
        device=WEAK,
        server=STRONG,
        box=Box(uplink=("5Gbps", "6Gbps")),
        precision=Precision(calibration=[images], accuracy="rel<=0.03"),
    )
    sides = {cut.device_ops: cut.id for cut in narrow.cuts}
    table = {(cut.device_ops, cut.codecs) for cut in narrow.cuts}
    others = 0
    for uplink in ("1Mbps", "10Mbps", "100Mbps", "1Gbps"):
        solved = narrow.decide(uplink)
        assert solved.source == "solver"
        assert solved.cut_id == sides.get(solved.device_ops, "not-emitted")
        others += solved.device_ops in sides and (solved.device_ops, solved.cut.codecs) not in table
    assert others, "where the link is slower, more is coded"
