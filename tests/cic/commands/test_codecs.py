"""The `cic` command with codecs: compile against calibration files, show what was kept, run a cut under its codecs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import onnx
import pytest
import torch

import cic
from cic.cli import main
from tests.cic.conftest import MACHINES, SMALL, answer
from tests.cic.inception import Inception
from tests.cic.precision.onnx_twin import onnx_twin

pytestmark = pytest.mark.usefixtures("in_project")


def test_from_calibration_to_a_run_under_codecs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, images = tmp_path / "small.cic", tmp_path / "images.npy"
    numpy.save(images, numpy.random.default_rng(0).random((6, 3, 64, 64), dtype=numpy.float32))
    asked = ("--precision", "int8", "--calibration", images, "--accuracy", "rel<=0.05")
    table = answer(capsys, "compile", *SMALL, *MACHINES, *asked, "-o", file)
    model = cic.load(file)
    assert "int8" in table and "error" in table
    assert {name.partition("+")[0] for cut in model.cuts for name in cut.codecs} <= {"raw", "fp16", "int8", "int8-channel"}
    shown = " ".join(answer(capsys, "show", file).split())
    assert "kept rel<=0.05 on the samples" in shown and "measured on 6 calibration samples" in shown

    document = json.loads(answer(capsys, "show", file, "--json"))
    sizes = {tensor["name"]: {each["codec"]: each for each in tensor["codecs"]} for tensor in document["tensors"]}
    op = {each["name"]: each for each in document["ops"]}
    for cut in document["cuts"]:
        forms = [sizes[tensor][codec] for tensor, codec in cut["codecs"].items()]
        assert cut["features"]["upload_bytes"] == sum(form["wire_bytes"] for form in forms)
        device_s = sum(op[name]["device_s"] for name in cut["device_ops"]) + sum(form["encode_s"] for form in forms)
        assert cut["features"]["device_s"] == pytest.approx(device_s)

    cut = next(cut for cut in model.cuts if any("int8" in name for name in cut.codecs))
    bundle = tmp_path / "small.split"
    answer(capsys, "emit", *SMALL, file, "-o", bundle, "--cut", cut.id)
    run = ("run", bundle, file, "--bandwidth", "100Mbps", "--cut", cut.label, "--repeat", "2", "--check", "--json")
    ran = json.loads(answer(capsys, *run))
    assert ran["codecs"] == cut.codec_of
    assert ran["relative_error"] == 0
    assert ran["sent_bytes"] < 1.5 * cut.upload_bytes + 300
    told = json.loads(answer(capsys, "decide", file, "100Mbps", "--json"))
    assert told["codecs"] == model.decide("100Mbps").codecs


def test_an_onnx_file_goes_the_same_way(
    capsys: pytest.CaptureFixture[str], network: Inception, images: torch.Tensor, tmp_path: Path
) -> None:
    model, pictures, file, bundle = (tmp_path / name for name in ("twin.onnx", "pictures.npz", "twin.cic", "twin.split"))
    onnx.save(onnx_twin(network), model)
    with torch.no_grad():
        numpy.savez(pictures, pictures=images.numpy(), labels=network(images).argmax(1).numpy())
    asked = ("--precision", "int8", "--calibration", pictures, "--accuracy", "top1>=0.5")
    assert "top1" in answer(capsys, "compile", model, *MACHINES, *asked, "-o", file)
    assert "measured on 24 calibration samples" in " ".join(answer(capsys, "show", file).split())
    cut = next(cut for cut in cic.load(file).cuts if any("int8" in name for name in cut.codecs))
    answer(capsys, "emit", model, file, "-o", bundle, "--cut", cut.id)
    run = ("run", bundle, file, "--bandwidth", "100Mbps", "--cut", cut.label, "--repeat", "2", "--check", "--json")
    ran = json.loads(answer(capsys, *run))
    assert ran["codecs"] == cut.codec_of
    assert ran["relative_error"] == 0
    assert ran["sent_bytes"] < 1.5 * cut.upload_bytes + 300


def test_pictures_are_pixels_from_the_command_line_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Given as pixels or normalised; the photograph is read as pixels, floats become those, and others are refused."""
    file, bundle = tmp_path / "small.cic", tmp_path / "small.split"
    pixels = numpy.random.default_rng(0).integers(0, 256, (6, 3, 64, 64), dtype=numpy.uint8)
    floats = (pixels.astype(numpy.float32) / 255 - numpy.float32(0.5)) / numpy.float32(0.25)
    inputs = {"pixels": pixels, "floats": floats, "others": floats + 0.01}
    for name, values in inputs.items():
        numpy.save(tmp_path / f"{name}.npy", values[:1])
    numpy.save(tmp_path / "batch.npy", pixels)
    form = ("--input-form", "uint8, mean=0.5, std=0.25")
    model, _, shape = SMALL
    asked = (*form, "--calibration", tmp_path / "batch.npy", "--accuracy", "rel<=0.05")
    answer(capsys, "compile", model, "--input", tmp_path / "pixels.npy", *MACHINES, *asked, "-o", file)
    answer(capsys, "emit", model, file, "-o", bundle, "--cut", "server-only")
    run = ("run", bundle, file, "--bandwidth", "1Gbps", "--cut", "server-only", "--repeat", "1", "--check", "--json", "--input")
    for given in ("photo", tmp_path / "pixels.npy", tmp_path / "floats.npy"):
        assert json.loads(answer(capsys, *run, given))["relative_error"] is not None
    assert main([*map(str, run), str(tmp_path / "others.npy")]) != 0
    assert "which no 8-bit pixel gives" in capsys.readouterr().err
    profile = tmp_path / "small.profile.json"
    answer(capsys, "profile", model, "--input", shape, *form, "--seconds-per-op", "0.0001", "-o", profile)
    assert any("normalisation" in name for op in cic.load_profile(profile).ops for name in op.names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--precision", "int3,int8"), "int3"),
        (("--accuracy", "top5>=0.9"), "top1>=0.99"),
        (("--accuracy", "rel<=0.1"), "nothing to measure it on"),
        (("--precision", "int8", "--calibration", "1x3x64x64"), "real inputs are needed"),
        (("--precision", "int8", "--calibration", "absent.npy"), "absent.npy"),
    ],
)
def test_what_cannot_be_compiled_is_refused(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["compile", *SMALL, *MACHINES, *options, "-o", str(tmp_path / "m.cic")])
    assert code != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m.cic").exists()
