"""What is seen of a tensor: its channels are found, and blocks are as large as the samples can say."""

from __future__ import annotations

import numpy as np
import pytest

from cic.precision.transforms.seen import Seen, block_of, channel_dimension, largest_tile


def channels_at(place: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """float32 of that shape whose values are correlated along one dimension and nowhere else."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).standard_normal((shape[place], shape[place])) * np.exp(-np.arange(shape[place]))
    values = np.moveaxis(rng.standard_normal(shape), place, -1) @ mix.T
    return np.moveaxis(values, -1, place).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "place"), [((1, 12, 16, 16), 1), ((1, 16, 16, 12), 3), ((2, 30, 8), 2), ((2, 8, 30), 1), ((4, 6), 1)]
)
def test_channels_are_where_values_tell_most_about_each_other(shape: tuple[int, ...], place: int) -> None:
    values = [channels_at(place, shape, seed) for seed in range(3)]
    assert channel_dimension(values, [], 0.01) == place


def test_tensors_without_channels_have_none() -> None:
    for shape in ((7,), (1, 1), (1, 1, 1, 1)):
        assert channel_dimension([np.ones(shape, np.float32)], [], 0.01) is None


@pytest.mark.parametrize(
    ("shape", "channels", "tile", "block"),
    [
        ((1, 24, 56, 56), 1, 4, (1, 24, 4, 4)),
        ((1, 56, 56, 24), 3, 2, (1, 2, 2, 24)),
        ((1, 196, 64), 2, 4, (1, 4, 64)),
        ((8, 64), 1, 1, (1, 64)),
        ((1, 16, 1, 49), 1, 4, (1, 16, 1, 4)),
    ],
)
def test_blocks_hold_all_channels(shape: tuple[int, ...], channels: int, tile: int, block: tuple[int, ...]) -> None:
    assert block_of(shape, channels, tile) == block


def test_a_tile_is_as_large_as_the_shape_and_the_samples_allow() -> None:
    assert largest_tile((1, 24, 56, 56), 1, 64) == 4
    assert largest_tile((1, 40, 56, 56), 1, 64) == 2, "four by four would be more than 512 values"
    assert largest_tile((1, 24, 57, 57), 1, 64) == 1, "57 cannot be halved"
    assert largest_tile((1, 24, 56, 56), 1, 1) == 2, "one sample has too few blocks of four by four"
    assert largest_tile((1, 1280), 1, 64) is None, "64 vectors say too little about 1,280 values"


def test_smaller_blocks_come_of_the_seen_ones() -> None:
    values = channels_at(1, (1, 3, 8, 8))
    large = Seen((1, 3, 8, 8), 1, 4, _columns(values, (1, 3, 4, 4)), np.zeros((48, 0), np.float32))
    again = np.concatenate([large._parted(large.columns, (1, 3, 2, 2)).T, _columns(values, (1, 3, 2, 2)).T])
    assert len(np.unique(again, axis=0)) == 16


def _columns(values: np.ndarray, block: tuple[int, ...]) -> np.ndarray:
    places = np.ndindex(*(size // part for size, part in zip(values.shape, block, strict=True)))
    cut = lambda place: tuple(slice(at * size, (at + 1) * size) for at, size in zip(place, block, strict=True))  # noqa: E731
    return np.stack([values[cut(place)].reshape(-1) for place in places], axis=1)


@pytest.mark.parametrize("shape", [(1, 4, 3, 3), (1, 4, 3, 8), (1, 4, 2, 3), (1, 4, 8, 8)])
def test_only_blocks_that_part_the_seen_ones_are_offered(shape: tuple[int, ...]) -> None:
    """Three places along a dimension are one block of three, or three of one."""
    block = block_of(shape, 1, 4)
    columns = np.random.default_rng(0).standard_normal((int(np.prod(block)), 9000)).astype(np.float32)
    seen = Seen(shape, 1, 4, columns, np.zeros((len(columns), 0), np.float32))
    offered = seen.blocks()
    assert offered[0] == block and (1, 4, 1, 1) in offered
    for each in offered:
        _, parted = seen.components(each)
        assert parted.shape == (np.prod(each), columns.size // np.prod(each))
