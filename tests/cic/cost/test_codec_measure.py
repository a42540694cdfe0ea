"""Measured codec times predict measured codec times."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from cic.codec.registry import codec
from cic.codec.tensors import Array
from cic.cost.codec_measure import SHIFTS, SIZES, activation, measure_codecs
from cic.cost.stopwatch import torch_threads
from cic.cost.timing import take_turns
from cic.inputs.photo import read_photo


def test_measured_times_predict_measured_times() -> None:
    """Within a factor of four, for the machine may get busy in between; benchmarks.made_data.codec_times states how well."""
    with torch_threads(1):
        (time,) = measure_codecs(["int8+zstd"])
        ratios = []
        for tensor in (activation(size, shift) for size in SIZES for shift in SHIFTS):
            size = len(codec("int8+zstd").encode(tensor))
            measured = take_turns([lambda tensor=tensor: codec("int8+zstd").encode(tensor)], 0.01).seconds[0]
            ratios.append(time.encode.seconds(tensor.size, size) / measured)
    assert 1 / 4 < sorted(ratios)[len(ratios) // 2] < 4


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_the_times_of_one_quality_predict_those_of_others(kind: str) -> None:
    """Measured on waves and noise of three sizes, checked on a photograph of another; within a factor of four as above."""
    pixels = read_pixels()
    with torch_threads(1):
        (time,) = measure_codecs([f"{kind}75"])
        for used in (codec(f"{kind}{quality}") for quality in (90, 25)):
            payload = bytes(used.encode(pixels))
            runs = [partial(used.encode, pixels), partial(used.decode, payload, pixels.shape, "uint8")]
            measured = take_turns(runs, 0.02).seconds
            predicted = [rate.seconds(pixels.size, len(payload)) for rate in (time.encode, time.decode)]
            assert all(1 / 4 < mine / theirs < 4 for mine, theirs in zip(predicted, measured, strict=True)), used.name


def read_pixels() -> Array:
    """uint8[1, 3, 96, 96] of a photograph."""
    plain = codec("uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225")
    payload = plain.encode(read_photo(None, [(1, 3, 96, 96)]))
    return np.frombuffer(payload, np.uint8)[1:].reshape(1, 3, 96, 96)
