"""What example inputs mean where pictures are declared: pixels, normalised pictures, or the model's own bytes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.codec.pixels import Normalisation
from cic.errors import CodecError, TraceError
from cic.trace.pixel_model import traces, with_pixels
from tests.cic.trace.picture_networks import NORMALISATION, floats, pictures, small_network

BYTES = Normalisation()


class TakesBytes(nn.Module):
    """Normalises pictures itself."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image.float() / 255).mean((2, 3))


def test_pixels_and_floats_give_the_same_model() -> None:
    network = small_network()
    digests = {
        with_pixels(next(traces(network, (example,), None, NORMALISATION)), NORMALISATION, exact=True).graph.digest
        for example in (pictures(1), floats(pictures(1)))
    }
    assert len(digests) == 1


def test_bytes_of_a_model_that_takes_them_stay_what_they_are() -> None:
    first, second = traces(TakesBytes(), (pictures(1),), None, BYTES)
    assert first.graph.tensor_by_name[first.graph.inputs[0]].dtype == "uint8"
    assert with_pixels(first, BYTES) is first and first.pixel_inputs is None
    assert with_pixels(second, BYTES).pixel_inputs is not None


def test_pixels_for_a_model_that_takes_floats_are_found_out_by_trying() -> None:
    (found,) = traces(small_network(), (pictures(1),), None, BYTES)
    assert found.source.example_inputs[0].dtype == torch.float32
    with pytest.raises(TraceError):
        list(traces(small_network(), (torch.zeros(1, 4, 32, 24, dtype=torch.uint8),), None, BYTES))


def test_examples_that_are_no_pictures_are_refused_or_rounded() -> None:
    bare = cic.trace_model(small_network(), (torch.randn(1, 3, 32, 24),))
    with pytest.raises(CodecError, match="which no 8-bit pixel gives"):
        with_pixels(bare, NORMALISATION, exact=True)
    assert with_pixels(bare, NORMALISATION).source.example_inputs[0].dtype == torch.uint8


def test_one_model_has_one_normalisation() -> None:
    traced = with_pixels(cic.trace_model(small_network(), (floats(pictures(1)),)), NORMALISATION)
    with pytest.raises(TraceError, match=r"takes pixels of 'uint8, mean=0.485 .*' already, not of 'uint8'"):
        with_pixels(traced, BYTES)


def test_a_model_without_pictures_is_left_alone() -> None:
    traced = cic.trace_model(nn.Linear(4, 2), (torch.rand(5, 4),))
    assert with_pixels(traced, BYTES) is traced
