"""Transforms made from drawn numbers, for tests."""

from __future__ import annotations

import math

import numpy as np

from cic.codec.transform.integer_transform import Transform
from cic.precision.transforms.karhunen_loeve import components_of, transform_of


def mixed(channels: int, positions: int, seed: int = 0) -> np.ndarray:
    """float64[channels, positions]: correlated channels, the later the fainter, as the activations of a network are."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((channels, channels)) * np.exp(-np.arange(channels) / 4)
    return mix @ rng.laplace(size=(channels, positions)) + rng.standard_normal((channels, 1))


def transform_for(columns: np.ndarray, sensitivity: np.ndarray, step: float, block: tuple[int, ...]) -> Transform:
    """Of blocks like these columns; the step is a share of the largest deviation of a component."""
    components = components_of(columns, sensitivity, block, columns.shape[1])
    return transform_of(components, columns, step * math.sqrt(components.variances.max()))


def fitted(channels: int = 12, step: float = 0.1, block: tuple[int, ...] | None = None) -> Transform:
    """Of `mixed`, in whose blocks all channels are along dimension 1 if nothing else is said."""
    return transform_for(mixed(channels, 4000), np.eye(channels), step, block or (1, channels))
