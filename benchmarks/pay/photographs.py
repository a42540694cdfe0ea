"""EfficientNet-Lite0 with its ImageNet weights, on photographs of things that it recognises with more than 50 % confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.pay.materials import debian_folder, importable
from benchmarks.pay.real_network import RealNetwork
from benchmarks.wire.stamp_pictures import stamp_pictures
from examples.models.efficientnet_lite0 import FORM, as_inputs, efficientnet_lite0

BACKGROUNDS = 12
CONFIDENT = 0.5
TOGETHER = 16
HELD_OUT = 400


def model(materials: Path) -> nn.Module:
    """The network with its weights. Raises SystemExit where its packages are missing."""
    importable(materials)
    try:
        return efficientnet_lite0()
    except ImportError as error:
        raise SystemExit(f"{error}; `python -m benchmarks.pay.materials` installs it") from error


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


def inputs_of(pictures: np.ndarray) -> torch.Tensor:
    """uint8[n, 224, 224, 3] to what the network takes."""
    return as_inputs(torch.from_numpy(pictures))


def _samples(pictures: np.ndarray) -> list[tuple[torch.Tensor, ...]]:
    return [(inputs_of(picture[None]),) for picture in pictures]


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
        scores = network(inputs_of(np.stack([picture for _, picture in batch]))).softmax(1).max(1).values.tolist()
    return [each for each, score in zip(batch, scores, strict=True) if score > CONFIDENT]
