"""The normalisation in front of a torch model computes exactly what is declared, and the model stays as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.codec.pixels import parse_normalisation
from cic.trace.fx.traced_model import TracedModel
from cic.trace.pixel_inputs import floats_of
from cic.trace.pixel_model import with_pixels
from tests.cic.trace.picture_networks import NORMALISATION, floats, pictures, small_network

FIGURES = ("", "scale=1", "mean=0.5", "std=0.25", "mean=0.485 0.456 0.406, std=0.229 0.224 0.225", "mean=127, std=128, scale=1")


class Doubled(nn.Module):
    """Returns its picture, too, and reads it twice."""

    def forward(self, image: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"twice": 2 * image, "image": image, "weighted": (image.mean((2, 3)) + weight)}


@pytest.mark.parametrize("figures", FIGURES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_pixel_becomes_the_very_float_that_is_declared(figures: str, dtype: str) -> None:
    normalisation = parse_normalisation(figures)
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(1, 3, 1, 1)
    image, weight = floats_of(pixels, normalisation, "x", dtype), torch.rand(1, 3)
    traced = with_pixels(cic.trace_model(Doubled(), (image, weight)), normalisation, exact=True)
    assert isinstance(traced, TracedModel)
    assert torch.equal(traced.args[0], pixels) and traced.args[1] is weight
    answers = traced.module(pixels, weight)
    assert torch.equal(answers[1], image) and torch.equal(answers[0], 2 * image)
    steps = len([part for part in ("scale=1",) if part not in figures]) + figures.count("mean") + figures.count("std")
    kinds = traced.unfused.ops[0].kinds + sum((op.kinds for op in traced.unfused.ops[1 : steps + 1]), ())
    assert kinds[0] == "to" and len(kinds) == steps + 1, "steps that change nothing are left out"


def test_pixels_are_the_input_and_the_first_op_reads_them() -> None:
    network = small_network()
    bare = cic.trace_model(network, (floats(pictures(1)),))
    assert isinstance(bare, TracedModel)
    code, digest, weights = bare.module.code, bare.graph.digest, bare.weights_digest
    traced = with_pixels(bare, NORMALISATION, exact=True)
    assert (bare.module.code, bare.graph.digest, bare.weights_digest) == (code, digest, weights), "the bare model changed"
    assert (traced.graph.digest, traced.weights_digest) != (digest, weights)
    (name,) = traced.graph.inputs
    picture = traced.graph.tensor_by_name[name]
    assert (picture.dtype, picture.bytes, len(picture.consumers)) == ("uint8", 3 * 32 * 24, 1)
    assert [op.signature for op in traced.graph.ops[1:]] == [op.signature for op in bare.graph.ops], "one profile serves both"
    assert torch.equal(traced.module(pictures(1))[0], bare.module(floats(pictures(1)))[0])
    assert with_pixels(traced, NORMALISATION) is traced


class ScalesFirst(nn.Module):
    """Begins with ops that a runtime fuses with those before them."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(image * 2 - 1).mean((2, 3))


def test_ops_of_the_bare_model_keep_their_names_and_are_what_they_were() -> None:
    bare = cic.trace_model(ScalesFirst(), (floats(pictures(1)),))
    traced = with_pixels(bare, NORMALISATION)
    assert [(op.name, op.signature) for op in traced.graph.ops[1:]] == [(op.name, op.signature) for op in bare.graph.ops]
