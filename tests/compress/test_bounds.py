"""What the bounds answer for many ops at once is what the corners of the box say of each, exactly."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from benchmarks.harness.random_problems import price_box
from compress.bounds import Bounds, Sent
from tests.draws import draws

SIGNS = (-1, 1)


@pytest.mark.parametrize("coding", [False, True], ids=["bytes alone", "codecs that take time"])
def test_answers_are_those_of_the_corners(coding: bool) -> None:
    rng = random.Random(83)
    seen = set()
    for _ in range(draws(400)):
        bounds = Bounds(price_box(rng), rng.choice([Fraction(0), Fraction(1, 10), Fraction(0.3)]))
        device, server, download, wire, encode, decode = (
            np.array([rng.choice([0, 1, 2, 7, 100, 12_345, 2**47]) for _ in range(6)], dtype=np.int64) for _ in range(6)
        )
        signs = [np.array([rng.choice(SIGNS) for _ in range(6)]) for _ in range(3)]
        more = Sent(wire * signs[0], coding * encode * signs[1], coding * decode * signs[2])
        answers = (
            bounds.device_is_never_faster(device, server),
            bounds.server_is_never_faster(device, server),
            bounds.moving_to_server_is_free(device, server, more, download),
            bounds.moving_to_device_is_free(device, server, more, download),
            bounds.sends_no_more(more),
        )
        for op in range(6):
            sent = tuple(int(amounts[op]) for amounts in more)
            costs = _costs(bounds, int(device[op]), int(server[op]), sent, int(download[op]))
            extra = (
                [b - a for a, b, _, _ in costs],
                [a - b for a, b, _, _ in costs],
                [b - a + u + w for a, b, u, w in costs],
                [a - b + u - w for a, b, u, w in costs],
                [u for _, _, u, _ in costs],
            )
            for question, changes in enumerate(extra):
                assert answers[question][op] == all(change <= 0 for change in changes)
                seen.add((question, bool(answers[question][op])))
    assert len(seen) == 10


def _costs(bounds: Bounds, device_ns: int, server_ns: int, sent: tuple[int, ...], download: int) -> list[tuple[Fraction, ...]]:
    """Costs of one op on the device, on the server, of what is sent and of a download, at each corner of prices and errors."""
    box, error = bounds.box, bounds.uncertainty
    return [
        (
            device * device_ns * (1 + device_error * error),
            server * server_ns * (1 + server_error * error),
            price * sent[0] + device * sent[1] + server * sent[2],
            price * ratio * download,
        )
        for device, server, price, ratio, device_error, server_error in product(
            box.device, box.server, box.upload, box.download_per_upload, SIGNS, SIGNS
        )
    ]
