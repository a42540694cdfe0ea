"""Pictures to train and to measure on, as the bytes a camera gives, and how they become a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from examples.trained import shapes

TRAINING, CALIBRATION, HELD_OUT = 1, 2, 3
DIGIT_SIDE = 32


@dataclass(frozen=True, eq=False)
class Pictures:
    """pixels: uint8[n, channels, side, side]. labels: int64[n], or int64[n, side, side] for segmentation."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Normalisation:
    """input = (pixel / 255 - mean) / std, for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """uint8[n, channels, h, w] to float32 of that shape."""
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return (pixels.float() / 255 - mean) / std

    def declaration(self) -> str:
        """How CIC is told that the input is pixels, and how they were normalised: `cic.compile(..., input=…)`."""
        mean, std = (" ".join(map(str, values)) for values in (self.mean, self.std))
        return f"uint8, mean={mean}, std={std}"


@lru_cache(maxsize=4)
def shape_pictures(split: int, count: int) -> Pictures:
    """One rendered shape a picture, with its class."""
    pixels, labels = shapes.classification(split, count)
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(labels))


@lru_cache(maxsize=4)
def segmented_pictures(split: int, count: int) -> Pictures:
    """Three rendered shapes a picture, with what is seen at each pixel."""
    pixels, labels = shapes.segmentation(split, count)
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(labels))


def digits_of(split: int, count: int) -> npt.NDArray[np.int64]:
    """Which of so many digits are in a split."""
    order = np.random.default_rng(0).permutation(count)
    third, tenth = count // 3, count // 10
    return {HELD_OUT: order[:third], CALIBRATION: order[third : third + tenth], TRAINING: order[third + tenth :]}[split]


@lru_cache(maxsize=4)
def digit_pictures(split: int, count: int) -> Pictures:
    """Handwritten digits in a 32 x 32 frame: enlarged, turned, moved, with noise.

    From the 1,797 digits of 8 x 8 pixels that scikit-learn carries (Alpaydin and Kaynak, UCI, 1998). A third of them is
    held out and a tenth is for calibration: no digit is in two splits, though one may appear more than once in its own, each
    time placed differently.
    """
    from sklearn.datasets import load_digits  # needed for this one data set

    digits = load_digits()
    chosen = digits_of(split, len(digits.images))
    rng = np.random.default_rng((split, DIGIT_SIDE))
    picked = chosen[np.arange(count) % len(chosen)]
    images = torch.from_numpy(digits.images[picked]).float()[:, None] / 16
    turn, zoom = (rng.uniform(low, high, count) for low, high in ((-0.3, 0.3), (1.1, 1.6)))
    cosine, sine = np.cos(turn) * zoom, np.sin(turn) * zoom
    across, down = rng.uniform(-0.3, 0.3, (2, count))
    placed = np.stack([np.stack([cosine, -sine, across], 1), np.stack([sine, cosine, down], 1)], 1)
    grid = torch.nn.functional.affine_grid(torch.from_numpy(placed).float(), [count, 1, DIGIT_SIDE, DIGIT_SIDE], False)
    ink = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    noise = torch.from_numpy(rng.standard_normal(ink.shape, dtype=np.float32)) * 18
    pixels = (30 + ink * 190 + noise).clamp(0, 255).to(torch.uint8)
    return Pictures(pixels, torch.from_numpy(digits.target[picked].astype(np.int64)))
