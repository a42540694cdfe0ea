"""Small architectures that torchvision lacks: recurrent ones, a detector, a U-Net, text encoders. Random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Speech(nn.Module):
    """A recurrent layer over frames of features, and a linear one on each of its answers."""

    def __init__(self, kind: str, width: int, hidden: int, layers: int, *, both_ways: bool = False) -> None:
        super().__init__()
        layer = getattr(nn, kind)
        self.recurrent = layer(width, hidden, layers, batch_first=True, bidirectional=both_ways)
        self.classes = nn.Linear(hidden * (2 if both_ways else 1), 64)

    def forward(self, frames: Tensor) -> Tensor:
        return self.classes(self.recurrent(frames)[0])


class TextReader(nn.Module):
    """Convolutions over a line of text, then a recurrent layer along it, as readers of text in pictures are built."""

    def __init__(self, kind: str, hidden: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            convolution(1, 32, 3), nn.MaxPool2d(2), convolution(32, 64, 3), nn.MaxPool2d(2), convolution(64, 128, 3),
            nn.MaxPool2d((2, 1)), convolution(128, 128, 3), nn.MaxPool2d((4, 1)),
        )  # fmt: skip
        self.recurrent = getattr(nn, kind)(128, hidden, 2, batch_first=True, bidirectional=True)
        self.classes = nn.Linear(2 * hidden, 96)

    def forward(self, line: Tensor) -> Tensor:
        columns = self.features(line).squeeze(2).transpose(1, 2)
        return self.classes(self.recurrent(columns)[0])


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm and SiLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class Bottleneck(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, channels, 3), convolution(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class Branches(nn.Module):
    """Split in two, run one part through bottlenecks, join all of what was made (the C2f block of YOLO networks)."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        half = outputs // 2
        self.first, self.last = convolution(inputs, outputs, 1), convolution((2 + count) * half, outputs, 1)
        self.blocks = nn.ModuleList(Bottleneck(half) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Detector(nn.Module):
    """A YOLO-like detector: a backbone of such blocks, a pyramid that scales up and joins, one head at each of two sizes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(convolution(3, w, 3, 2), convolution(w, 2 * w, 3, 2), Branches(2 * w, 2 * w, 1))
        self.middle = nn.Sequential(convolution(2 * w, 4 * w, 3, 2), Branches(4 * w, 4 * w, 2))
        self.deep = nn.Sequential(convolution(4 * w, 8 * w, 3, 2), Branches(8 * w, 8 * w, 2))
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.pooled = convolution(16 * w, 8 * w, 1)
        self.up = nn.Upsample(scale_factor=2.0)
        self.joined = Branches(12 * w, 4 * w, 1)
        self.heads = nn.ModuleList(
            nn.Sequential(convolution(channels, 4 * w, 3), nn.Conv2d(4 * w, 84, 1)) for channels in (4 * w, 8 * w)
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        middle = self.middle(self.stem(picture))
        deep = self.deep(middle)
        deep = self.pooled(torch.cat([deep, self.pool(deep)], 1))
        joined = self.joined(torch.cat([self.up(deep), middle], 1))
        found = [head(x).flatten(2) for head, x in zip(self.heads, (joined, deep), strict=True)]
        boxes, scores = torch.cat(found, 2).split((4, 80), 1)
        return boxes, scores.sigmoid()


class UNet(nn.Module):
    """Two scales down, two up, with what was made on the way down joined in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.down = nn.ModuleList([self.pair(3, w), self.pair(w, 2 * w), self.pair(2 * w, 4 * w)])
        self.grow = nn.ModuleList([nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), nn.ConvTranspose2d(2 * w, w, 2, 2)])
        self.up = nn.ModuleList([self.pair(4 * w, 2 * w), self.pair(2 * w, w)])
        self.mask = nn.Conv2d(w, 2, 1)

    @staticmethod
    def pair(inputs: int, outputs: int) -> nn.Sequential:
        layers = [(inputs, outputs), (outputs, outputs)]
        return nn.Sequential(*(m for i, o in layers for m in (nn.Conv2d(i, o, 3, 1, 1), nn.BatchNorm2d(o), nn.ReLU())))

    def forward(self, picture: Tensor) -> Tensor:
        kept = [self.down[0](picture)]
        for block in list(self.down)[1:]:
            kept.append(block(nn.functional.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([kept.pop(), grow(x)], 1))
        return self.mask(x)


def encoder(width: int, layers: int, tokens: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A transformer encoder with heads of 64, and a batch of one text for it."""
    layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, activation="gelu", batch_first=True)
    model = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    return model.to(dtype).eval(), (torch.rand(1, tokens, width, dtype=dtype),)
