"""A Triton repository says of every tail what it is, and its files give the tail's answers without CIC."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from codegen.errors import CodegenError
from codegen.formats.torchscript import quiet_torchscript
from codegen.loading import export_half, load_cut
from codegen.manifest import CutRecord, read_manifest, write_manifest
from codegen.serving.triton_repository import TritonModel, write_triton_repository
from codegen.split import WireTensor
from tests.codegen.mixed_types import call, write_mixed_bundle
from tests.codegen.serving import text_proto

FORMATS = ("torchscript", "onnx")
TYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64", "bool": "TYPE_BOOL", "float16": "TYPE_FP16"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_bundle(tmp_path_factory.mktemp("bundles"), FORMATS)


def run_torchscript(path: Path, config: dict, given: list[torch.Tensor]) -> list[np.ndarray]:
    assert [tensor["name"] for tensor in config["input"]] == [[f"INPUT__{index}"] for index in range(len(given))]
    assert [tensor["name"] for tensor in config["output"]] == [[f"OUTPUT__{index}"] for index in range(len(config["output"]))]
    with quiet_torchscript(), torch.no_grad():
        return [result.numpy() for result in torch.jit.load(str(path))(*given)]


def run_onnx(path: Path, config: dict, given: list[torch.Tensor]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    declared = {value.name: value for value in (*session.get_inputs(), *session.get_outputs())}
    for tensor in (*config["input"], *config["output"]):
        assert declared[tensor["name"][0]].shape == tensor["dims"], "Triton compares the two"
    names = [tensor["name"][0] for tensor in config["input"]]
    return session.run(
        [tensor["name"][0] for tensor in config["output"]],
        {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)},
    )


RUN: dict[str, tuple[str, str, str, Callable]] = {
    "torchscript": ("pytorch_libtorch", "pytorch", "model.pt", run_torchscript),
    "onnx": ("onnxruntime_onnx", "onnxruntime", "model.onnx", run_onnx),
}


def check_model(repository: Path, model: TritonModel, bundle: Path, record: CutRecord, format_name: str) -> None:
    """The configuration is the manifest's, and the file, opened alone, answers what the bundle's tail answers."""
    platform, backend, file_name, run = RUN[format_name]
    folder = repository / model.name
    config = text_proto.parse((folder / "config.pbtxt").read_text())
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == ["1", f"1/{file_name}", "config.pbtxt"]
    assert (config["name"], config["platform"], config["backend"]) == ([model.name], [platform], [backend])
    assert config["max_batch_size"] == [0]
    assert config["instance_group"] == [{"count": [1], "kind": ["KIND_CPU"]}]
    for side, wires, names in (("input", record.crossing, model.inputs), ("output", record.returned, model.outputs)):
        assert [tensor["name"][0] for tensor in config[side]] == list(names)
        for tensor, wire in zip(config[side], wires, strict=True):
            assert tensor["data_type"] == [TYPES[wire.dtype]] and isinstance(tensor["data_type"][0], text_proto.Word)
            assert tensor["dims"] == list(wire.shape or (1,))
            assert tensor.keys() == {"name", "data_type", "dims"}
    cut = load_cut(bundle, record.id, format_name=format_name)
    crossing = cut.head(*call())[: len(record.crossing)]
    # What Triton hands over has the shape the configuration says.
    results = run(folder / "1" / file_name, config, [tensor.reshape(tensor.shape or (1,)) for tensor in crossing])
    expected = cut.run_tail_flat(crossing)
    assert len(results) == len(expected) > 0
    for result, wanted, wire in zip(results, expected, record.returned, strict=True):
        assert result.shape == (wire.shape or (1,)) and str(result.dtype) == wire.dtype
        np.testing.assert_allclose(result.reshape(wire.shape), wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_tail_is_a_model_that_needs_no_cic(bundle: Path, format_name: str, tmp_path: Path):
    models = write_triton_repository(bundle, tmp_path / "repository", format_name=format_name)
    # The tail of "everything on the device" returns nothing.
    assert [(model.name, model.cut_id) for model in models] == [
        ("mixed_server-only", "server-only"),
        ("mixed_wide-1.2", "wide-1.2"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]
    assert sorted(path.name for path in (tmp_path / "repository").iterdir()) == [model.name for model in models]
    for model in models:
        check_model(tmp_path / "repository", model, bundle, read_manifest(bundle).cut(model.cut_id), format_name)


def test_a_repository_keeps_its_other_models(bundle: Path, tmp_path: Path):
    repository = tmp_path / "repository"
    (repository / "other").mkdir(parents=True)
    (only,) = write_triton_repository(bundle, repository, cuts=["wide-1.2"], name="a")
    assert only.name == "a_wide-1.2"
    (repository / only.name / "config.pbtxt").write_text("of the user's")
    with pytest.raises(CodegenError, match=r"has a model a_wide-1\.2 already; remove it or name the new ones otherwise"):
        write_triton_repository(bundle, repository, name="a")
    assert sorted(path.name for path in repository.iterdir()) == ["a_wide-1.2", "other"]
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]


def test_an_export_that_was_interrupted_is_finished_by_another(bundle: Path, tmp_path: Path):
    repository = tmp_path / "repository"
    models = write_triton_repository(bundle, repository)
    shutil.rmtree(repository / models[-1].name)
    config = repository / models[0].name / "config.pbtxt"
    kept = config.stat().st_ino, config.stat().st_mtime_ns
    assert write_triton_repository(bundle, repository) == models
    assert sorted(path.name for path in repository.iterdir()) == sorted(model.name for model in models)
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == kept


def test_nothing_is_exported_into_the_bundle(bundle: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(bundle)
    for place in (bundle, bundle / "repository", tmp_path / "link" / "manifest.json"):
        with pytest.raises(CodegenError, match="holds its own files only"):
            write_triton_repository(bundle, place)
        with pytest.raises(CodegenError, match=r"holds its own files only|is a directory"):
            export_half(bundle, "wide-1.2", "tail", place)


def test_what_triton_cannot_carry_is_refused_by_name(bundle: Path, tmp_path: Path):
    def changed(**fields: object) -> Path:
        manifest = read_manifest(bundle)
        record = manifest.cut("wide-1.2")
        kept = {name: getattr(record.crossing[0], name) for name in ("shape", "dtype")}
        known: dict[str, Any] = {**kept, **fields}
        size = math.prod(known["shape"]) * getattr(torch, known["dtype"]).itemsize
        wire = WireTensor("middle", bytes=size, **known)
        directory = tmp_path / "changed.split"
        directory.mkdir(exist_ok=True)
        write_manifest(directory, replace(manifest, cuts=(replace(record, crossing=(wire, *record.crossing[1:])),)))
        return directory

    for dtype, backend in (("bfloat16", "pytorch"), ("complex64", "pytorch"), ("uint16", "pytorch")):
        with pytest.raises(CodegenError, match=f"cut wide-1.2: middle is of type {dtype}, which Triton's {backend} backend"):
            write_triton_repository(changed(dtype=dtype), tmp_path / "repository")
    with pytest.raises(CodegenError, match=r"cut wide-1.2: middle has the shape \(3, 0\)"):
        write_triton_repository(changed(shape=(3, 0)), tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_requests_that_cannot_be_met_are_refused(bundle: Path, tmp_path: Path):
    refusals = {
        "the tail of cut device-only has no (inputs|outputs)": {"cuts": ["device-only"]},
        "there is no cut 'other'": {"cuts": ["other"]},
        "mixed.split is emitted as torchscript, onnx, and Triton is to have exported_program": {
            "format_name": "exported_program"
        },
        "the model name 'a/b' names directories": {"name": "a/b"},
    }
    for message, options in refusals.items():
        with pytest.raises(CodegenError, match=message):
            write_triton_repository(bundle, tmp_path / "repository", **options)
    with pytest.raises(CodegenError, match=r"the directory .*absent does not exist"):
        write_triton_repository(bundle, tmp_path / "absent" / "repository")
    (tmp_path / "file").touch()
    with pytest.raises(CodegenError, match="file exists and is not a directory"):
        write_triton_repository(bundle, tmp_path / "file")
    with pytest.raises(CodegenError, match="is not an emitted model"):
        write_triton_repository(tmp_path, tmp_path / "repository")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_package_that_is_missing_is_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    with pytest.raises(CodegenError, match=r"'onnx' needs the package onnx_ir: pip install 'cic-compiler\[onnx\]'"):
        write_triton_repository(bundle, tmp_path / "repository", format_name="onnx")
    assert not list(tmp_path.iterdir())


def test_names_are_quoted(tmp_path: Path):
    from codegen.serving.triton_repository import _BACKENDS, _tensor_block

    name = 'a "b"\\n\n' + "grüße'{}"
    block = _tensor_block("input", [name], [WireTensor("x", (2, 3), "float32", 24)], _BACKENDS["onnx"])
    assert text_proto.parse("\n".join(block))["input"][0]["name"] == [name]
