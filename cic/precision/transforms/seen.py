"""What is seen of one tensor over calibration inputs: some of its blocks, and what the answer feels of an error in them.

Blocks hold all channels at a few neighbouring places. Which dimension holds the channels is found by looking, as nothing says
so: it is the one along which values tell most about each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cic.codec.transform.integer_transform import as_columns
from cic.precision.transforms.karhunen_loeve import Components, components_of

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]
Block = tuple[int, ...]

# Places along each spatial dimension that a block may have, and how many values.
TILES = (4, 2, 1)
MOST_VALUES = 512
# With fewer blocks than so many times the values of one, a covariance says little.
LEAST_BLOCKS = 4
MOST_CHANNELS = 1024


@dataclass(frozen=True, eq=False)
class Seen:
    """Blocks of one tensor over several samples.

    shape: of the tensor. channels: which dimension. tile: places of a block along each spatial dimension; it has D values.
    columns: float32[D, m]. gradients: float32[D, n], those of random directions of the answer
    (`cic.precision.transforms.gradients`); n = 0 if there are none.
    """

    shape: tuple[int, ...]
    channels: int
    tile: int
    columns: Floats
    gradients: Floats

    def blocks(self) -> list[Block]:
        """The shapes of blocks that the seen ones can be parted into, and for which enough was seen, from the largest."""
        blocks = [block_of(self.shape, self.channels, tile) for tile in TILES if tile <= self.tile]
        # Of three places along a dimension, which is all that there are, two make no whole number of blocks.
        whole = [block for block in dict.fromkeys(blocks) if not any(np.mod(blocks[0], block))]
        return [block for block in whole if self.columns.size >= LEAST_BLOCKS * math.prod(block) ** 2]

    def components(self, block: Block) -> tuple[Components, Reals]:
        """The components of one of these, and the blocks by which they were found, float64[values of a block, …]."""
        columns = self._parted(self.columns, block).astype(np.float64)
        count = math.prod(self.shape) // math.prod(block)
        if self.gradients.shape[1]:
            felt = self._parted(self.gradients, block).astype(np.float64)
            sensitivity = felt @ felt.T / felt.shape[1]
        else:
            # Without gradients every value counts alike, and the loss is relative to what the tensor varies.
            varies = float(columns.var(axis=1).sum()) * count
            sensitivity = np.eye(len(columns)) / (varies or 1.0)
        return components_of(columns, sensitivity, block, count), columns

    def _parted(self, columns: Floats, block: Block) -> Floats:
        return as_columns(columns.T.reshape(-1, *block_of(self.shape, self.channels, self.tile)), (1, *block))


def block_of(shape: Sequence[int], channels: int, tile: int) -> Block:
    """All channels at `tile` places along each of the last two other dimensions but the first, where there are as many."""
    spatial = [place for place in range(1, len(shape)) if place != channels][-2:]
    sizes = [min(tile, size) if place in spatial else 1 for place, size in enumerate(shape)]
    sizes[channels] = shape[channels]
    return tuple(sizes)


def largest_tile(shape: Sequence[int], channels: int, samples: int) -> int | None:
    """The largest tile that a tensor can be cut into, and that so many samples say enough about; None if there is none."""
    for tile in TILES:
        block = block_of(shape, channels, tile)
        values = math.prod(block)
        whole = all(size % part == 0 for size, part in zip(shape, block, strict=True))
        if whole and values <= max(MOST_VALUES, shape[channels]) and samples * math.prod(shape) >= LEAST_BLOCKS * values**2:
            return tile
    return None


def channel_dimension(values: Sequence[Floats], felt: Sequence[Floats], loss: float) -> int | None:
    """The dimension of a tensor's channels: 1 or the last; None for tensors that have none, or too many.

    Of both it is the one by whose components the tensor takes fewer bits at that loss.
    values, felt: the tensor over some samples, and gradients of random directions of the answer.
    """
    shape = values[0].shape
    places = [place for place in sorted({1, len(shape) - 1}) if 0 < place < len(shape) and 1 < shape[place] <= MOST_CHANNELS]
    if len(places) < 2:
        return places[0] if places else None

    def bits(place: int) -> float:
        block = block_of(shape, place, 1)
        columns, gradients = (_columns(parts, block, math.prod(block)) for parts in (values, felt))
        return Seen(shape, place, 1, columns, gradients).components(block)[0].bits(loss)

    return min(places, key=bits)


def _columns(parts: Sequence[Floats], block: Block, values: int) -> Floats:
    columns = [as_columns(each, block) for each in parts]
    return np.concatenate(columns, axis=1) if columns else np.zeros((values, 0), np.float32)
