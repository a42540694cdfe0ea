"""Halves written as ONNX compute what the model computes, say nothing while written, and run where torch is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.formats.onnx_program import OnnxEmitter, export
from codegen.loading import load_cut
from codegen.splitters.fx import split
from codegen.torchvision_import import import_torchvision
from examples.models.encoder import Encoder, example_call
from examples.models.meaningful import make_meaningful
from tests import warm_python
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.small_models import TwoTowers, two_towers_call

torchvision = import_torchvision()


def image_model(build: str) -> tuple[nn.Module, tuple, dict]:
    torch.manual_seed(0)
    model = make_meaningful(getattr(torchvision.models, build)(num_classes=20), (torch.randn(4, 3, 64, 64),))
    return model, (torch.randn(1, 3, 64, 64),), {}


def text_model() -> tuple[nn.Module, tuple, dict]:
    torch.manual_seed(0)
    model = Encoder(layers=2, width=32, heads=4, words=50, longest=16, keep_hidden_states=True).eval()
    return model, *example_call(length=16, words=50)


MODELS = {
    "resnet18": lambda: image_model("resnet18"),
    "mobilenet_v3_small": lambda: image_model("mobilenet_v3_small"),
    "encoder": text_model,
    "several outputs": lambda: (TwoTowers().eval(), *two_towers_call()),
}


def plans_of(traced: FlatModule, count: int) -> list[CutPlan]:
    sets = traced.random_closed_sets(count)
    return [CutPlan(f"cut-{index}", nodes, tuple(sorted(nodes))) for index, nodes in enumerate(sets)]


@pytest.mark.parametrize(("name", "cuts"), [("resnet18", [2]), ("mobilenet_v3_small", [2]), ("encoder", [1, 2])])
def test_every_cut_is_verified_as_onnx(name: str, cuts: list[int], tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    check_bundle(name, cuts, tmp_path, capfd)


def test_halves_that_only_pass_on_what_they_get(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The first two cuts are everything on the server and everything on the device."""
    check_bundle("several outputs", [0, 1, 2], tmp_path, capfd)


def check_bundle(name: str, cuts: list[int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, args, kwargs = MODELS[name]()
    traced = flat_module(model, args, kwargs)
    plans = [plans_of(traced, 1)[cut] for cut in cuts]
    manifest = write_bundle(tmp_path / "bundle", traced.source, plans, formats=("onnx",))
    assert capfd.readouterr() == ("", "")
    assert {"onnx", "onnxruntime"} <= manifest.versions.keys()
    for record in manifest.cuts:
        (check,) = record.verification
        assert check.format == "onnx" and check.informative and check.max_relative_error <= check.tolerance == 1e-4
        cut = load_cut(tmp_path / "bundle", record.id, format_name="onnx")
        results = cut.head(*args, **kwargs)
        assert [tuple(result.shape) for result in results] == [wire.shape for wire in (*cut.crossing, *cut.kept)]
    with torch.no_grad():
        torch.testing.assert_close(cut.tail(*results), model(*args, **kwargs), rtol=1e-4, atol=1e-5)


def test_files_speak_of_the_crossing_tensors_by_name(tmp_path: Path):
    model, args, kwargs = MODELS["several outputs"]()
    traced = flat_module(model, args, kwargs)
    for nodes in traced.random_closed_sets(3):
        halves = split(traced.source.module, nodes, traced.source.tensors)
        head = export(halves.head, traced.source.example_inputs, "head.onnx")
        assert [value.name for value in head.graph.inputs] == [wire.name for wire in halves.inputs]
        made = [value.name for value in head.graph.outputs]
        wanted = [wire.name for wire in (*halves.crossing, *halves.kept)]
        assert [name.removesuffix("_passed") for name in made] == (wanted or ["nothing"])
        with torch.no_grad():
            crossing = halves.head(*traced.source.example_inputs)[: len(halves.crossing)]
        OnnxEmitter().write(halves.tail, crossing, tmp_path / "tail.onnx")
        tail = onnx.load(tmp_path / "tail.onnx")
        onnx.checker.check_model(tail)
        assert [value.name for value in tail.graph.input] == [wire.name for wire in halves.crossing]


class HalfPrecision(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return x.bfloat16(), x[:, :0], x > 0


def test_types_and_shapes_that_numpy_lacks_cross(tmp_path: Path):
    x = torch.randn(2, 3)
    traced = flat_module(HalfPrecision(), (x,))
    emitter = OnnxEmitter()
    for half, example in ((traced.source.module, (x,)), (split(traced.source.module, (), ()).head, (x,))):
        emitter.write(half, example, tmp_path / "half.onnx")
        expected = half(*example)
        for optimize in (False, True):
            results = emitter.load(tmp_path / "half.onnx", (), optimize=optimize)(*example)
            for result, wanted in zip(results, expected, strict=True):
                assert result.dtype == wanted.dtype and result.shape == wanted.shape and torch.equal(result, wanted)


def test_bfloat16_is_accepted_as_input(tmp_path: Path):
    class Widen(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x.float() * 2,)

    x = torch.randn(2, 3).bfloat16()
    emitter = OnnxEmitter()
    emitter.write(flat_module(Widen(), (x,)).source.module, (x,), tmp_path / "half.onnx")
    (result,) = emitter.load(tmp_path / "half.onnx", (), optimize=True)(x)
    assert torch.equal(result, x.float() * 2)


def test_a_device_runs_its_head_without_torch(tmp_path: Path):
    model, args, kwargs = MODELS["resnet18"]()
    traced = flat_module(model, args, kwargs)
    manifest = write_bundle(tmp_path / "bundle", traced.source, plans_of(traced, 1)[2:], formats=("onnx",))
    np.save(tmp_path / "x.npy", args[0].numpy())
    program = (
        "import sys; sys.modules['torch'] = None; import numpy as np; from codegen.loading import load_cut\n"
        "cut = load_cut(sys.argv[1], sys.argv[2], half='head', format_name='onnx')\n"
        "results = cut.head(np.load(sys.argv[3]))\n"
        "np.save(sys.argv[4], results[0])"
    )
    arguments = [str(tmp_path / "bundle"), manifest.cuts[0].id, str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    subprocess.run([warm_python.REAL, "-c", program, *arguments], check=True, capture_output=True)
    expected = load_cut(tmp_path / "bundle", manifest.cuts[0].id, format_name="onnx").head(*args)[0]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_what_onnx_cannot_express_is_refused_by_name(tmp_path: Path):
    class Spectrum(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (torch.linalg.svdvals(x),)

    x = torch.randn(3, 3)
    with pytest.raises(CodegenError, match=r"torch\.onnx cannot write head\.onnx: .*svd"):
        OnnxEmitter().write(flat_module(Spectrum(), (x,)).source.module, (x,), tmp_path / "head.onnx")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path: Path):
    path = tmp_path / "head.onnx"
    path.write_bytes(b"\x08\x0a garbage")
    with pytest.raises(CodegenError, match=r"head\.onnx is not ONNX that onnxruntime .* can run"):
        OnnxEmitter().load(path, (), optimize=True)
