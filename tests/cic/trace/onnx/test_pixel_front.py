"""The normalisation in front of an ONNX model computes what is declared, and the model stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from cic.codec.pixels import parse_normalisation
from cic.errors import TraceError
from cic.precision.model_runner import runner_of
from cic.trace.onnx.onnx_trace import trace_onnx
from cic.trace.pixel_inputs import floats_of
from cic.trace.pixel_model import with_pixels
from tests.cic.trace.picture_networks import NORMALISATION, as_onnx, floats, pictures, small_network
from tests.codegen.onnx_models import model, value

FIGURES = ("", "scale=1", "mean=0.5 0.4 0.3, std=0.25", "mean=127, std=128, scale=1")


@pytest.mark.parametrize("figures", FIGURES)
def test_every_pixel_becomes_the_very_float_that_is_declared(figures: str) -> None:
    """The input itself is an answer, another node reads it, and names that would be taken are there already."""
    normalisation = parse_normalisation(figures)
    nodes = [
        onnx.helper.make_node("Add", ["image", "image"], ["normalisation_0_scaled"]),
        onnx.helper.make_node("Identity", ["image"], ["same"]),
    ]
    shape = [1, 3, 16, 16]
    small = model(nodes, [value("image", shape)], [value("normalisation_0_scaled", shape), value("same", shape)])
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(1, 3, 1, 1)
    image = floats_of(pixels, normalisation, "image")
    traced = with_pixels(trace_onnx(small, (image,)), normalisation, exact=True)
    assert torch.equal(traced.kwargs["image"], pixels)
    split = runner_of(traced).halves([member for op in traced.graph.ops for member in op.members])
    results = split.head(pixels)
    returned = [results[source.position] for source in split.outputs]
    assert torch.equal(returned[0], image + image) and torch.equal(returned[1], image)


def test_pixels_are_the_input_and_halves_agree_with_the_file(tmp_path: Path) -> None:
    path = as_onnx(small_network(), tmp_path / "small.onnx")
    bare = trace_onnx(path)
    before = (bare.graph.digest, bare.weights_digest, [node.name for node in bare.model.graph])
    traced = with_pixels(bare, NORMALISATION)
    assert (bare.graph.digest, bare.weights_digest, [node.name for node in bare.model.graph]) == before
    (name,) = traced.graph.inputs
    assert traced.graph.tensor_by_name[name].dtype == "uint8" and name == bare.graph.inputs[0]
    assert [op.signature for op in traced.graph.ops[1:]] == [op.signature for op in bare.graph.ops], "one profile serves both"
    with torch.no_grad():
        expected = small_network()(floats(pictures(1, seed=3))).numpy()
    np.testing.assert_allclose(traced.source.whole()(pictures(1, seed=3))[0].numpy(), expected, rtol=1e-4, atol=1e-5)
    for count in range(len(traced.graph.ops)):
        split = runner_of(traced).halves([member for op in traced.graph.ops[:count] for member in op.members])
        crossing = split.head(pictures(1, seed=3))
        if not count:
            assert torch.equal(crossing[0], pictures(1, seed=3)), "server-only sends the pixels"
        np.testing.assert_allclose(split.tail(*crossing)[0].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_operators_that_repeat_no_operand_are_refused() -> None:
    old = model([onnx.helper.make_node("Relu", ["x"], ["y"])], [value("x", [1, 3, 8, 8])], [value("y", [1, 3, 8, 8])])
    del old.opset_import[:]
    old.opset_import.append(onnx.helper.make_opsetid("", 6))
    with pytest.raises(TraceError, match="has version 6 of the operators"):
        with_pixels(trace_onnx(old), parse_normalisation(""))
