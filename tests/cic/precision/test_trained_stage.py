"""A second table may use trained transforms as well: it is no slower than the first and keeps what was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.codec.transform.transform_codec import digest_in, shown_name
from cic.decision.splitting_model import SplittingModel
from cic.errors import CompileError
from cic.precision.precision import Precision
from cic.precision.transforms.making import LOSSES
from cic.precision.transforms.share import MOST_TRAINED
from cic.progress import Progress
from cic.trace.traced import Traced
from tests.cic.inception import STRONG, WEAK, Inception
from tests.cic.precision.onnx_twin import onnx_twin

LOSS = 0.2
UPLINKS = ("100kbps", "1Mbps", "10Mbps", "100Mbps")


def compiled(traced: Traced, images: torch.Tensor, train: str | None, told: list[Progress]) -> SplittingModel:
    asked = Precision(["transform"], [images, images.flip(0) + 0.1], f"rel<={LOSS}", train=train)
    return cic.compile(traced, device=WEAK, server=STRONG, precision=asked, progress=told.append)


def test_a_table_with_trained_transforms_is_no_slower(
    network: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = cic.trace_model(network, (images[:1],))
    told: list[Progress] = []
    first = compiled(traced, images, None, told)
    assert not any("training" in each.text for each in told)
    monkeypatch.setattr("cic.precision.trained_stage.until", lambda _: lambda done: done / 2)
    second = compiled(traced, images, "5min", told)
    trained = [each.text for each in told if each.text.startswith("training") and each.done is None]
    assert 0 < len(trained) <= MOST_TRAINED
    for uplink in UPLINKS:
        assert second.decide(uplink).latency_s <= first.decide(uplink).latency_s * (1 + 1e-9)
    assert all(not cut.accuracy or (cut.accuracy["error"] or 0.0) <= LOSS for cut in second.cuts)
    used = {name for cut in second.cuts for name in cut.codecs if digest_in(name)}
    marked = {name for name in used if float(shown_name(name).partition("-")[2]) not in LOSSES}
    assert any("made transform-" in each for each in trained) and marked
    assert all(second.codec(name).name == name for name in used)


def test_an_onnx_model_is_refused_by_name(network: Inception, images: torch.Tensor) -> None:
    asked = Precision("transform", [{"image": images}], f"rel<={LOSS}", train="5min")
    with pytest.raises(CompileError, match=r"cannot be trained, as ONNX Runtime has no gradients; .*leave out train"):
        cic.compile(onnx_twin(network), device=WEAK, server=STRONG, precision=asked)
