"""Pictures as pixels, as the floats that a model takes, and as files."""

from __future__ import annotations

import struct
import zlib

import torch

IMAGENET = "mean=0.485 0.456 0.406, std=0.229 0.224 0.225"

MEAN, STD = (torch.tensor(figures).reshape(3, 1, 1) for figures in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

KINDS = ("uint8", "uint8+zstd", "uint8+zlib", "png")


def smooth_pixels(*shape: int) -> torch.Tensor:
    """As in photographs, neighbours are alike."""
    waves = torch.linspace(0, 7, shape[-1]).sin() + torch.linspace(0, 5, shape[-2]).cos()[:, None]
    return (waves * 60 + 127 + torch.rand(shape) * 8).to(torch.uint8)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """What ToTensor and Normalize of torchvision compute."""
    return pixels.to(torch.float32).div(255).sub(MEAN).div(STD)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
