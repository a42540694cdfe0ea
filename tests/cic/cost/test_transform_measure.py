"""Measured times of transforms predict measured times."""

from __future__ import annotations

from functools import partial

from cic.cost.codec_time import PRODUCTS, plain_name, seconds_of_codec
from cic.cost.coding_time import coding_seconds
from cic.cost.stopwatch import torch_threads
from cic.cost.timing import take_turns
from cic.cost.transform_measure import example, measure_transforms


def test_measured_times_predict_measured_times() -> None:
    """Of a transform that was not measured; within a factor of four, as the machine may get busy in between."""

    class Here:
        def codec_seconds(self, name: str, elements: int, wire_bytes: int) -> tuple[float, float]:
            return seconds_of_codec(times, "here", name, elements, wire_bytes)

    with torch_threads(1):
        times = measure_transforms()
        used, tensor = example(96, 64, 300, 1.0)
        payload = bytes(used.encode(tensor))
        used.decode(payload, tensor.shape, "float32")
        measured = take_turns(
            [partial(used.encode, tensor), partial(used.decode, payload, tensor.shape, "float32")], 0.02
        ).seconds
    predicted = coding_seconds(Here(), used, tensor.shape, len(payload))  # type: ignore[arg-type]
    assert all(1 / 4 < mine / theirs < 4 for mine, theirs in zip(predicted, measured, strict=True))


def test_names_of_transforms_are_those_of_their_times() -> None:
    assert plain_name("transform-0.01@" + "0" * 64) == plain_name("transform") == "transform"
    assert plain_name(PRODUCTS) == PRODUCTS
