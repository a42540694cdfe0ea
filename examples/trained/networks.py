"""The networks that are trained: a residual one, one of inverted residuals, one of parallel branches, and a U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and normalisation, without activation."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a way around them (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=stride)
        self.second = _convolution(outputs, outputs)
        self.around = nn.Identity() if inputs == outputs and stride == 1 else _convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.around(x))


class InvertedResidual(nn.Module):
    """Wide inside, narrow between blocks, no activation where it is narrow (Sandler et al., MobileNetV2, CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, widening: int = 4) -> None:
        super().__init__()
        inside = inputs * widening
        self.widen = nn.Sequential(_convolution(inputs, inside, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(_convolution(inside, inside, stride=stride, groups=inside), nn.ReLU6())
        self.narrow = _convolution(inside, outputs, 1)
        self.adds = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(self.depthwise(self.widen(x)))
        return x + y if self.adds else y


class InceptionBlock(nn.Module):
    """Four branches side by side (Szegedy et al., CVPR 2015): 1 x 1, 3 x 3, two 3 x 3, and pooling."""

    def __init__(self, inputs: int, branch: int) -> None:
        super().__init__()
        narrow = max(branch // 2, 8)
        self.point = nn.Sequential(_convolution(inputs, branch, 1), nn.ReLU())
        self.one = nn.Sequential(_convolution(inputs, narrow, 1), nn.ReLU(), _convolution(narrow, branch), nn.ReLU())
        self.two = nn.Sequential(
            *(_convolution(inputs, narrow, 1), nn.ReLU()),
            *(_convolution(narrow, branch), nn.ReLU()),
            *(_convolution(branch, branch), nn.ReLU()),
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), _convolution(inputs, branch, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.point(x), self.one(x), self.two(x), self.pooled(x)], dim=1)


class UNet(nn.Module):
    """Down four times and up again, each level joined to its mirror image (Ronneberger et al., MICCAI 2015)."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((channels, *widths), widths, strict=False))
        self.up = nn.ModuleList(_double(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.scores = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for index, level in enumerate(self.down):
            x = level(x if index == 0 else nn.functional.max_pool2d(x, 2))
            levels.append(x)
        for level, beside in zip(self.up, levels[-2::-1], strict=True):
            x = level(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"), beside], dim=1))
        return self.scores(x)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), nn.ReLU(), _convolution(outputs, outputs), nn.ReLU())


def _classifier(inputs: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]


def residual_network(channels: int, classes: int, widths: Sequence[int], stem_stride: int) -> nn.Sequential:
    """A stem, two residual blocks for each width (the first of them at half the resolution, but for the first width)."""
    layers: list[nn.Module] = [_convolution(channels, widths[0], 3, stem_stride), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = widths[0]
    for level, outputs in enumerate(widths):
        layers += [ResidualBlock(inputs, outputs, 2 if level else 1), ResidualBlock(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, *_classifier(inputs, classes))


def inverted_residual_network(channels: int, classes: int, widths: Sequence[int]) -> nn.Sequential:
    """A stem at half the resolution, two inverted residuals for each width, each level at half the resolution of the last."""
    layers: list[nn.Module] = [_convolution(channels, widths[0], 3, 2), nn.ReLU6()]
    inputs = widths[0]
    for outputs in widths:
        layers += [InvertedResidual(inputs, outputs, 2), InvertedResidual(outputs, outputs, 1)]
        inputs = outputs
    last = 4 * inputs
    return nn.Sequential(*layers, _convolution(inputs, last, 1), nn.ReLU6(), *_classifier(last, classes))


def inception_network(channels: int, classes: int, branches: Sequence[int]) -> nn.Sequential:
    """A stem at a quarter of the resolution, then two blocks of branches for each width."""
    layers: list[nn.Module] = [_convolution(channels, 16, 3, 2), nn.ReLU(), _convolution(16, 32), nn.ReLU()]
    inputs = 32
    for branch in branches:
        layers += [nn.MaxPool2d(3, 2, 1), InceptionBlock(inputs, branch), InceptionBlock(4 * branch, branch)]
        inputs = 4 * branch
    return nn.Sequential(*layers, *_classifier(inputs, classes))
