"""What the bounds answer for many ops at once is what the corners of the box say of each, exactly."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import numpy as np

from benchmarks.harness.random_problems import price_box
from compress.bounds import Bounds
from tests.draws import draws

SIGNS = (-1, 1)


def test_answers_are_those_of_the_corners() -> None:
    rng = random.Random(83)
    seen = set()
    for _ in range(draws(400)):
        bounds = Bounds(price_box(rng), rng.choice([Fraction(0), Fraction(1, 10), Fraction(0.3)]))
        device, server, more, download = (
            np.array([rng.choice([0, 1, 2, 7, 100, 12_345, 2**47]) for _ in range(6)], dtype=np.int64) for _ in range(4)
        )
        more *= np.array([rng.choice(SIGNS) for _ in range(6)])
        answers = (
            bounds.device_is_never_faster(device, server),
            bounds.server_is_never_faster(device, server),
            bounds.moving_to_server_is_free(device, server, more, download),
            bounds.moving_to_device_is_free(device, server, more, download),
        )
        for op in range(6):
            on_device, on_server, up, down = (int(amounts[op]) for amounts in (device, server, more, download))
            extra = (
                [b - a for a, b, _, _ in _costs(bounds, on_device, on_server, 0, 0)],
                [a - b for a, b, _, _ in _costs(bounds, on_device, on_server, 0, 0)],
                [b - a + u + w for a, b, u, w in _costs(bounds, on_device, on_server, up, down)],
                [a - b + u - w for a, b, u, w in _costs(bounds, on_device, on_server, up, down)],
            )
            for question, costs in enumerate(extra):
                assert answers[question][op] == all(cost <= 0 for cost in costs)
                seen.add((question, bool(answers[question][op])))
    assert len(seen) == 8


def _costs(bounds: Bounds, device_ns: int, server_ns: int, upload: int, download: int) -> list[tuple[Fraction, ...]]:
    """Costs of one op on the device, on the server, of bytes up and down, at each corner of prices and errors."""
    box, error = bounds.box, bounds.uncertainty
    return [
        (
            device * device_ns * (1 + device_error * error),
            server * server_ns * (1 + server_error * error),
            price * upload,
            price * ratio * download,
        )
        for device, server, price, ratio, device_error, server_error in product(
            box.device, box.server, box.upload, box.download_per_upload, SIGNS, SIGNS
        )
    ]
