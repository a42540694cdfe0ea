"""Clipped ranges make the squared error of four bits smaller."""

from __future__ import annotations

import numpy as np

from tests.cic.codec.crossed import crossed


def test_clipping_lowers_the_squared_error_of_long_tails() -> None:
    tensor = np.random.default_rng(0).laplace(size=50_000).astype(np.float32)
    errors = {name: np.mean((crossed(name, tensor) - tensor) ** 2) for name in ("int4", "int4-clip")}
    assert errors["int4-clip"] < 0.6 * errors["int4"]
