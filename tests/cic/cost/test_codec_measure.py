"""Measured codec times predict measured codec times."""

from __future__ import annotations

from cic.codec.registry import codec
from cic.cost.codec_measure import SHIFTS, SIZES, activation, measure_codecs
from cic.cost.stopwatch import torch_threads
from cic.cost.timing import take_turns


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
