"""A model compiled with codecs meets its target, and a lower one is never slower."""

from __future__ import annotations

import torch
from torch import nn

import cic
from cic.codec.registry import codec
from cic.compilation.verification import verify
from cic.decision.splitting_model import SplittingModel, dumps
from cic.precision.precision import Precision
from tests.cic.inception import STRONG, WEAK


def test_every_cut_meets_the_target_and_some_cross_under_lossy_codecs(compiled: SplittingModel) -> None:
    assert all(cut.accuracy is not None and cut.accuracy["error"] <= 0.03 for cut in compiled.cuts)
    used = {name for cut in compiled.cuts for name in cut.codecs}
    assert any(not codec(name).lossless for name in used)
    assert len({cut.label for cut in compiled.cuts}) == len(compiled.cuts)
    assert verify(compiled).cuts == len(compiled.cuts)


def test_a_lower_target_is_never_slower(network: nn.Module, images: torch.Tensor) -> None:
    tables = [
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(None, [images[:6]], target))
        for target in ("rel<=0.0001", "rel<=0.01", "rel<=0.2")
    ]
    for bandwidth in (1e5, 1e6, 5e6, 2e7, 1e8):
        latencies = [table.decide(bandwidth).latency_s for table in tables]
        assert latencies == sorted(latencies, reverse=True)


def test_the_same_compiles_to_the_same_bytes_but_for_the_header(network: nn.Module, images: torch.Tensor) -> None:
    first, again = (
        dumps(cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision="int8")).splitlines() for _ in range(2)
    )
    assert first[1:] == again[1:]
