"""A table goes with every training of its model, unless its codecs were measured on the tensors of one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import cic
from benchmarks.harness.bare_tables import bare_model
from cic.decision.conditions import Box
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.emission.matching_weights import other_weights


def table(codecs: dict[str, str]) -> SplittingModel:
    cuts = tuple(Cut("cut-01", (1, 1, 1, 1, 1), lambda: ((), ()), tuple(used.values())) for used in ({}, codecs))
    model = bare_model("small", [("cut-01", (1, 1, 1, 1, 1))], Box())
    information = model.information.replaced(weights_digest="a" * 64)
    return SplittingModel(model.table.replaced(cuts=cuts, information=information), model.graph)


@pytest.mark.parametrize(
    ("codecs", "digest", "refused"), [({}, "b", False), ({"x": "int8"}, "a", False), ({"x": "int8"}, "b", True)]
)
def test_only_codecs_bind_a_table_to_one_training(codecs: dict[str, str], digest: str, refused: bool) -> None:
    said = other_weights(table(codecs), digest * 64)
    assert (said is not None) is refused
    if said is not None:
        assert "a" * 12 in said and "b" * 12 in said and "small" in said


def test_emit_refuses_other_weights_than_codecs_were_measured_with(tmp_path: Any) -> None:
    def training(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8)).eval()

    table = cic.compile(training(0), (torch.rand(1, 64),), device="raspberry-pi-4", server="epyc-7742", precision="int8")
    assert any(cut.codecs for cut in table.cuts)
    with pytest.raises(cic.EmitError, match="were measured with weights of the digest"):
        cic.emit(training(1), table, tmp_path / "m.split")
    assert list(tmp_path.iterdir()) == []
