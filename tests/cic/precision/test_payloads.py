"""Inputs weigh what pictures weigh where they are declared as such, and a lossy picture is judged as a codec is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.compilation.verification import verify
from cic.precision.precision import Precision
from tests.cic.inception import STRONG, WEAK


def test_declared_pixels_cross_as_pixels_and_lose_nothing(network: nn.Module) -> None:
    pixels = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(6))
    pictures = (pixels / 255 - 0.5) / 0.25
    precision = Precision(calibration=[pictures], input="uint8, mean=0.5, std=0.25")
    compiled = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG, precision=precision)
    server_only = [cut for cut in compiled.cuts if cut.id == "server-only"]
    assert {name.partition(",")[0] for cut in server_only for name in cut.codecs} > {"uint8"}
    assert all(cut.accuracy is not None and cut.accuracy["error"] == 0 for cut in compiled.cuts)
    plain = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG)
    assert compiled.decide("100Mbps").latency_s < plain.decide("100Mbps").latency_s
    assert min(cut.upload_bytes for cut in server_only) <= pixels[0].numel() + 1
    assert verify(compiled).cuts == len(compiled.cuts)


def test_a_jpeg_is_judged_as_codecs_are(network: nn.Module) -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    smooth = torch.stack([(rows * place + columns * (3 - place)) / 3 for place in range(3)])
    pictures = torch.stack([((smooth * shade) * 255).round() / 255 for shade in (0.4, 0.7, 1.0)])
    used = []
    for target in ("rel<=0.5", "rel<=0.0000001"):
        precision = Precision(calibration=[pictures], accuracy=target, input="jpeg90")
        compiled = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG, precision=precision)
        used.append({name.partition(",")[0] for cut in compiled.cuts for name in cut.codecs})
    assert "jpeg90" in used[0]
    assert "jpeg90" not in used[1]


def test_what_is_no_picture_cannot_be_declared_one(network: nn.Module, images: torch.Tensor) -> None:
    for declared, message in (
        ("uint8", "pixel"),
        ("int8", "uint8, png or jpeg"),
        ("uint8, median=3", "median"),
        ("gif", "gif"),
    ):
        with pytest.raises(cic.CicError, match=message):
            precision = Precision(calibration=[images], input=declared)
            cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)
