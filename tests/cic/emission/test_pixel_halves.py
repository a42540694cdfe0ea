"""A model whose pictures are declared is emitted with its normalisation: heads take pixels, and server-only sends these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cic
from cic.codec.registry import codec
from cic.cost.machine import Machine
from cic.cost.pixel_prices import pixel_op_seconds
from cic.cost.pricing import resolve
from cic.decision.splitting_model import SplittingModel
from cic.errors import CodecError, CostError, TraceError
from cic.trace.any_model import trace_model
from cic.trace.pixel_model import with_pixels
from tests.cic.trace.picture_networks import DECLARED, NORMALISATION, as_onnx, floats, pictures, small_network

MACHINES = {"device": Machine("weak", 2e9, 1e9, 1e-6), "server": Machine("strong", 2e11, 2e10, 1e-7)}


@pytest.fixture(scope="module", params=["torch", "onnx"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module | Path:
    network = small_network()
    return network if request.param == "torch" else as_onnx(network, tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.fixture(scope="module")
def compiled(model: torch.nn.Module | Path) -> SplittingModel:
    precision = cic.Precision(calibration=[floats(pictures(40))], accuracy="rel<=0.2", input=DECLARED)
    example = () if isinstance(model, Path) else (floats(pictures(1)),)
    return cic.compile(model, example, **MACHINES, precision=precision)


@pytest.fixture(scope="module")
def emitted(
    model: torch.nn.Module | Path, compiled: SplittingModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SplittingModel]:
    """Verified on normalised pictures, and on pixels."""
    directory = tmp_path_factory.mktemp("emitted") / "split"
    calls: Sequence[tuple[Sequence[torch.Tensor], dict[str, object]]] = [
        ((floats(pictures(1, seed=5)),), {}),
        ((pictures(1, seed=6),), {}),
    ]
    manifest = cic.emit(model, compiled, directory, verify_on=calls)
    assert all(check.informative for record in manifest.cuts for check in record.verification)
    return directory, compiled


def test_every_cut_answers_to_pixels_what_the_model_answers_to_floats(emitted: tuple[Path, SplittingModel]) -> None:
    directory, compiled = emitted
    pixels = pictures(1, seed=7)
    with torch.no_grad():
        expected = small_network()(floats(pixels)).numpy()
    assert {"device-only", "server-only"} < compiled.cut_by_id.keys()
    for cut_id in compiled.cut_by_id:
        cut = cic.load_cut(directory, cut_id)
        answer = cut.tail(*cut.head(pixels))
        answer = next(iter(answer.values())) if isinstance(answer, dict) else answer
        np.testing.assert_allclose(np.asarray(answer.detach()), expected, rtol=1e-3, atol=1e-4)


def test_server_only_sends_bytes_untouched(emitted: tuple[Path, SplittingModel]) -> None:
    directory, compiled = emitted
    pixels = pictures(1, seed=8)
    head = cic.load_cut(directory, "server-only").head
    (sent,) = head(pixels)
    assert sent.dtype == torch.uint8 and torch.equal(sent, pixels)
    assert bytes(codec("raw").encode(sent)) == pixels.numpy().tobytes()
    assert min(cut.device_ns for cut in compiled.cuts if cut.id == "server-only") == 0


def test_emit_takes_a_traced_model_with_and_without_its_normalisation(
    model: torch.nn.Module | Path, compiled: SplittingModel, tmp_path: Path
) -> None:
    bare = trace_model(model, () if isinstance(model, Path) else (floats(pictures(1)),), name=compiled.name)
    for number, given in enumerate((bare, with_pixels(bare, NORMALISATION))):
        manifest = cic.emit(given, compiled, tmp_path / str(number), cuts=["server-only"])
        assert manifest.cuts[0].crossing[0].dtype == "uint8"


def test_what_is_no_picture_is_refused_by_name(model: torch.nn.Module | Path, compiled: SplittingModel, tmp_path: Path) -> None:
    calls = [((floats(pictures(1)),), {}), ((floats(pictures(1)) + 0.001,), {})]
    with pytest.raises(CodecError, match="which no 8-bit pixel gives"):
        cic.emit(model, compiled, tmp_path / "split", cuts=["server-only"], verify_on=calls)
    assert not (tmp_path / "split").exists()
    precision = cic.Precision(input=DECLARED.replace("0.485", "0.5"))
    other = cic.compile(model, (pictures(1),), **MACHINES, precision=precision)
    with pytest.raises(TraceError, match=r"takes pixels of 'uint8, mean=0\.485 .*' already"):
        cic.emit(with_pixels(trace_model(model, (floats(pictures(1)),)), NORMALISATION), other, tmp_path / "split")


def test_a_profile_of_the_model_as_it_is_prices_it_with_its_normalisation(model: torch.nn.Module | Path) -> None:
    example = (floats(pictures(1)),)
    bare = trace_model(model, example)
    traced = with_pixels(bare, NORMALISATION)
    profiled = cic.profile(bare, seconds_per_op=1e-4)
    both = cic.profile(bare, seconds_per_op=1e-4, input=DECLARED)
    seconds = pixel_op_seconds(profiled, traced, bare)
    assert seconds[1:] == profiled.op_seconds(bare.graph)
    assert seconds[0] == profiled.codec_seconds("normalisation", 3 * 32 * 24, 3 * 32 * 24)[1] > 0
    assert pixel_op_seconds(both, traced, bare) == both.op_seconds(traced.graph)
    assert pixel_op_seconds(both, bare, bare) == both.op_seconds(bare.graph), "and the other way round"
    with pytest.raises(CostError, match="the codec 'normalisation' is not in the profile"):
        pixel_op_seconds(replace(profiled, codecs=()), traced, bare)
    with pytest.raises(CostError, match="is not in the profile of"):
        other = trace_model(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 5), torch.nn.Flatten()), example)
        pixel_op_seconds(profiled, with_pixels(other, NORMALISATION), other)
    predicted = resolve("raspberry-pi-4b")
    assert pixel_op_seconds(predicted, traced, bare) == predicted.op_seconds(traced.graph)
    cic.compile(bare, device=profiled, server="i7-13700k", precision=cic.Precision(calibration=[pictures(1)], input=DECLARED))
