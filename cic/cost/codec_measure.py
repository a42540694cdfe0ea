"""Measured codec times: every codec on this machine, on activations and pictures of several sizes. Needs torch and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from scipy.optimize import nnls

from cic.codec.codec import Codec
from cic.codec.picture import picture_kinds_here
from cic.codec.registry import codec, codec_names, entropy_here
from cic.codec.tensors import Array
from cic.cost.codec_time import NORMALISATION, CodecTime, Rate, plain_name
from cic.cost.timing import Pace, Run, Session, take_turns, total_pace
from cic.cost.transform_measure import measure_transforms

# Values of a tensor: a late layer, a middle one, an early one.
SIZES = (2_048, 16_384, 65_536)
# Shifts of a normal distribution before ReLU: nearly no zeros, half, nine tenths; they compress very differently.
SHIFTS = (3.0, 0.0, -1.28)
# Pictures of so many pixels a side, and how strong their noise is; smooth ones compress better.
SIDES = (32, 80, 160)
NOISES = (0.5, 3.0, 20.0)
# Of each kind of file one quality: others differ in the bytes that they make, on which the time depends.
PICTURES = {"PNG": ("png",), "JPEG": ("jpeg75", "jpeg75-444"), "WEBP": ("webp75",)}


Row = tuple[float, float, float]
"""1, values and payload bytes: what the parts of a `Rate` are multiplied by."""


def measure_codecs(names: Sequence[str] | None = None, *, budget_s: float = 0.002) -> tuple[CodecTime, ...]:
    """Times of the codecs named, or of all that are here and of normalising pictures; see `cic.cost.pixel_prices`.

    Each of 18 measurements a codec takes about `budget_s`.

    Transforms are measured besides all. Raises CodecError for an unknown codec.
    """
    chosen = [codec(name) for name in (_names_here() if names is None else names)]
    measured = [(plain_name(each.name), *_measure(each, budget_s)) for each in chosen]
    if names is None:
        measured.append((NORMALISATION, *_measure_normalising(budget_s)))
    # One codec's measurements are too short to tell whether the machine holds this process back; all together do.
    pace = total_pace([session for _, _, session in measured])
    times = [
        CodecTime(name, *(_rate(rows, seconds) for seconds in _coding_seconds(pace, session)))
        for name, rows, session in measured
    ]
    return (*times, *(measure_transforms(budget_s=budget_s) if names is None else ()))


def examples(chosen: Codec) -> list[Array]:
    """Tensors to measure a codec on: pictures for those of pixels, else activations; the same every time."""
    if chosen.of_pixels:
        return [picture(side, noise) for side in SIDES for noise in NOISES]
    return [activation(size, shift) for size in SIZES for shift in SHIFTS]


@cache
def codecs_here() -> tuple[CodecTime, ...]:
    """All codecs on this machine, measured once in the life of a process, which takes some seconds."""
    return measure_codecs()


def activation(size: int, shift: float) -> Array:
    """float32[1, 64, size / 64 / 16, 16]: rectified, normally distributed values; the same every time."""
    values = np.random.default_rng(size).standard_normal((1, 64, size // 1024, 16)) + shift
    return np.maximum(values, 0).astype(np.float32)


def picture(side: int, noise: float) -> Array:
    """uint8[1, 3, side, side]: pixels of waves and noise; the same every time."""
    waves = np.add.outer(np.sin(np.arange(side) / 17), np.cos(np.arange(side) / 23))
    pixels = 127 + 50 * waves + noise * np.random.default_rng(side).standard_normal((1, 3, side, side))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _names_here() -> list[str]:
    # What is compressed is measured both ways, as for other codecs.
    pixels = dict.fromkeys(["uint8", "uint8" + entropy_here(), "uint8+zlib"])
    return [*codec_names(), *pixels, *(name for kind in picture_kinds_here() for name in PICTURES[kind])]


def _measure(chosen: Codec, budget_s: float) -> tuple[list[Row], Session]:
    """What the times of each example are to depend on, and the timings: encode and decode of the first example, the next, …"""
    rows: list[Row] = []
    runs: list[Run] = []
    for tensor in examples(chosen):
        payload = bytes(chosen.encode(tensor))
        rows.append((1.0, float(tensor.size), float(len(payload))))
        runs += [partial(chosen.encode, tensor), partial(chosen.decode, payload, tensor.shape, tensor.dtype.name)]
    return rows, take_turns(runs, budget_s * len(runs))


def _measure_normalising(budget_s: float) -> tuple[list[Row], Session]:
    """As `_measure`, with pictures made floats for decoding, and nothing for encoding."""
    mean, std = (torch.tensor(figures).reshape(1, 3, 1, 1) for figures in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    scale = torch.tensor(255.0)
    pictures = [torch.from_numpy(picture(side, NOISES[0])) for side in SIDES]
    runs: list[Run] = []
    for pixels in pictures:
        runs += [lambda: None, partial(_normalised, pixels, scale, mean, std)]
    return [(1.0, float(pixels.numel()), 0.0) for pixels in pictures], take_turns(runs, budget_s * len(runs))


def _normalised(pixels: torch.Tensor, scale: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    return pixels.to(torch.float32).div(scale).sub(mean).div(std)


def _coding_seconds(pace: Pace, session: Session) -> tuple[list[float], list[float]]:
    """Seconds to encode each example, and to decode it."""
    seconds = [pace.seconds(timing) for timing in session.timings]
    return seconds[::2], seconds[1::2]


def _rate(rows: Sequence[Row], seconds: Sequence[float]) -> Rate:
    """The non-negative rate whose predictions have the least sum of squared relative errors."""
    times = np.maximum(np.array(seconds), 1e-9)
    found, _ = nnls(np.array(rows) / times[:, None], np.ones(len(times)))
    return Rate(*(float(f"{figure:.4g}") for figure in found))
