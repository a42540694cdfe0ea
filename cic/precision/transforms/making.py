"""Transform codecs for the tensors of a model, made from calibration samples: several for each, from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cic.codec.tensors import FLOATS, array_of, floats_of
from cic.codec.transform.integer_transform import as_columns
from cic.codec.transform.transform_codec import TransformCodec, TransformWork, transform_codec
from cic.graph import Tensor
from cic.precision.model_runner import ModelRunner, Tensors
from cic.precision.transforms.karhunen_loeve import transforms_of
from cic.precision.transforms.seen import Floats, Seen, block_of, channel_dimension, largest_tile
from cic.progress import Progress, Tell

# What an answer may lose by a transform, as `cic.precision.transforms.gradients` measures it: a Kullback-Leibler divergence in
# nats, or half a relative squared error. Networks that classify keep nine in ten of their answers at the first, nearly all at
# the last.
LOSSES = (0.1, 0.05, 0.03, 0.02, 0.01, 0.003)
# At which the shape of blocks is chosen.
_USUAL_LOSS = 0.01
# Samples to make transforms of at most, and values kept of one tensor and of all together.
MOST_SAMPLES = 128
_MOST_OF_ONE, _MOST_OF_ALL = 3 * 2**20, 192 * 2**20
# Blocks by which tables are made, and samples by which dimensions are told apart.
_TABLED, _LOOKED_AT = 4096, 2
# A tensor of fewer values is sent in one packet anyway.
_FEWEST_VALUES = 64
_SEED = 0

Seconds = Callable[[TransformWork, float], float]
"""What it takes until a tensor has crossed under a codec that does so much work, in so many bytes."""


@dataclass(frozen=True, eq=False)
class Made:
    """Transform codecs by tensor, the numbers to store for them by their digest, and the samples they were made from."""

    codecs: Mapping[str, tuple[TransformCodec, ...]]
    stored: Mapping[str, bytes]
    samples: Sequence[Tensors] = ()


def make_transforms(
    runner: ModelRunner,
    tensors: Sequence[Tensor],
    samples: Sequence[Tensors],
    seconds: Seconds,
    *,
    of_classes: bool,
    tell: Tell,
) -> Made:
    """Transforms for those of the tensors that are floats and of which the samples say enough.

    Args:
        runner: of their model. samples: flat inputs; cuts must be judged on others, which these transforms have not seen.
        seconds: by which the shape of blocks is chosen. of_classes: see `cic.precision.transforms.gradients`.
    """
    codecs: dict[str, tuple[TransformCodec, ...]] = {}
    stored: dict[str, bytes] = {}
    seen = _seen(runner, tensors, samples, of_classes, tell)
    for done, tensor in enumerate(tensors):
        if (some := seen.pop(tensor.name, None)) is None:
            continue
        tell(Progress("making transforms", done, len(tensors)))
        made = _transforms(some, seconds)
        codecs[tensor.name] = tuple(each for each, _ in made)
        stored.update({each.digest: content for each, content in made})
    return Made(codecs, stored, samples)


def _transforms(seen: Seen, seconds: Seconds) -> list[tuple[TransformCodec, bytes]]:
    """The transforms of one tensor with their contents, from coarse to fine, in blocks of the shape that takes least time."""
    values = math.prod(seen.shape)
    best, least = None, math.inf
    for block in seen.blocks():
        components, columns = seen.components(block)
        count = components.count(_USUAL_LOSS)
        work = TransformWork(values + count * components.blocks, values * count)
        if (taken := seconds(work, components.bits(_USUAL_LOSS) / 8)) < least:
            best, least = (components, columns), taken
    if best is None:
        return []
    components, columns = best[0], best[1][:, :: max(1, best[1].shape[1] // _TABLED)]
    transforms = transforms_of(components, columns, [components.step(loss) for loss in LOSSES])
    made = [transform_codec(loss, transform) for loss, transform in zip(LOSSES, transforms, strict=True)]
    # A step that loses all is one for every such loss; without components every input is like the mean of all.
    distinct = {used.digest: (used, content) for used, content in made if used.transform.components}
    return list(distinct.values())


def _seen(
    runner: ModelRunner, tensors: Sequence[Tensor], samples: Sequence[Tensors], of_classes: bool, tell: Tell
) -> dict[str, Seen]:
    """What the samples show of each tensor."""
    draw, generator = np.random.default_rng(_SEED), torch.Generator().manual_seed(_SEED)
    tiles = _tiles(runner, tensors, samples, generator, of_classes)
    most = min(_MOST_OF_ONE, _MOST_OF_ALL // (2 * max(len(tiles), 1)))
    columns: dict[str, list[Floats]] = {name: [] for name in tiles}
    gradients: dict[str, list[Floats]] = {name: [] for name in tiles}
    felt = bool(tiles)
    for number, sample in enumerate(samples):
        tell(Progress("seeing what the answer feels of each tensor", number, len(samples)))

        def keep(into: dict[str, list[Floats]], name: str, value: torch.Tensor) -> None:
            shape, channels, tile = tiles[name]
            block = block_of(shape, channels, tile)
            blocks = as_columns(_floats(value), block)
            count = min(blocks.shape[1], max(1, most // (math.prod(block) * len(samples))))
            into[name].append(blocks[:, np.sort(draw.choice(blocks.shape[1], count, replace=False))])

        runner.observe(sample, tiles.keys(), lambda name, value: keep(columns, name, value))
        found = runner.gradients(sample, tiles.keys(), generator, of_classes=of_classes) if felt else None
        felt = found is not None
        for name, value in (found or {}).items():
            keep(gradients, name, value)
    return {
        name: Seen(*where, np.concatenate(columns[name], axis=1), _joined(gradients[name], len(columns[name][0])))
        for name, where in tiles.items()
        if all(np.isfinite(each).all() for each in columns[name])  # NaN and infinity have no deviation
    }


def _joined(parts: Sequence[Floats], values: int) -> Floats:
    return np.concatenate(parts, axis=1) if parts else np.zeros((values, 0), np.float32)


def _tiles(
    runner: ModelRunner,
    tensors: Sequence[Tensor],
    samples: Sequence[Tensors],
    generator: torch.Generator,
    of_classes: bool,
) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """Shape, dimension of the channels, and places in a block, of each tensor that a transform can be made for."""
    fit = {tensor.name for tensor in tensors if tensor.dtype in FLOATS and math.prod(tensor.shape) >= _FEWEST_VALUES}
    looked: dict[str, list[Floats]] = {name: [] for name in fit}
    felt: dict[str, list[Floats]] = {name: [] for name in fit}
    for sample in samples[:_LOOKED_AT]:
        runner.observe(sample, fit, lambda name, value: looked[name].append(_floats(value)))
        for name, value in (runner.gradients(sample, fit, generator, of_classes=of_classes) or {}).items():
            felt[name].append(_floats(value))
    found = {}
    for name, values in looked.items():
        if not all(np.isfinite(each).all() for each in values):
            continue
        if (channels := channel_dimension(values, felt[name], _USUAL_LOSS)) is None:
            continue
        shape = values[0].shape
        if (tile := largest_tile(shape, channels, len(samples))) is not None:
            found[name] = (shape, channels, tile)
    return found


def _floats(value: torch.Tensor) -> Floats:
    return floats_of(*array_of(value))
