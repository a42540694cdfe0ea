"""A small network that takes normalised pictures, pictures for it, and the network as an ONNX model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from cic.codec.pixels import parse_normalisation
from cic.trace.pixel_inputs import floats_of
from codegen.formats.onnx_program import quiet_exporter

FIGURES = "mean=0.485 0.456 0.406, std=0.229 0.224 0.225"
DECLARED = f"uint8, {FIGURES}"
NORMALISATION = parse_normalisation(FIGURES)


def small_network() -> nn.Module:
    """Answers ten scores for a picture of 32 by 24 pixels; tensors shrink on the way."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 5, 10)
    return nn.Sequential(*layers).eval()


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """uint8[count, 3, 32, 24]: smooth shades and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.rand(2, count, 3, 1, 1, generator=generator) * 255
    slope = torch.linspace(0, 1, 32).reshape(32, 1) / 2 + torch.linspace(0, 1, 24) / 2
    shades = ends[0] + (ends[1] - ends[0]) * slope + 2 * torch.randn(count, 3, 32, 24, generator=generator)
    return shades.round().clamp(0, 255).to(torch.uint8)


def floats(pixels: torch.Tensor) -> torch.Tensor:
    return floats_of(pixels, NORMALISATION, "pictures")


def as_onnx(network: nn.Module, path: Path) -> Path:
    with quiet_exporter():
        torch.onnx.export(network, (floats(pictures(1)),), path, dynamo=True, verbose=False, external_data=False)
    return path
