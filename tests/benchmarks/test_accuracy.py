"""The accuracy benchmark runs emitted cuts under their codecs, on a network trained for a few seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks.wire.accuracy import measure
from examples.trained.recipes import RECIPES
from examples.trained.train import train, weights_path


def test_every_cut_is_run_under_its_codecs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CIC_TRAINED_WEIGHTS", str(tmp_path))
    network = train(dataclasses.replace(RECIPES["digits"], epochs=3), pictures=480, report=False)
    torch.save(network.state_dict(), weights_path("digits"))
    measured = measure("digits", calibration=120, held_out=20, target=0.8)
    assert measured.top1 > 0.5
    assert {cut.coarsest for cut in measured.cuts} > {"exact"}
    for cut in measured.cuts:
        assert cut.calibrated >= 0.8 and cut.kept >= 0.7
        assert cut.sent_bytes == pytest.approx(cut.stated_bytes, rel=0.25)
        if cut.coarsest == "exact":
            assert cut.kept == 1
