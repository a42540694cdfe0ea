"""`cic export` writes what the library writes, and says what it cannot do."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

import cic
from cic.cli import main
from tests.cic.emission.models_to_export import make_model
from tests.codegen.mixed_types import write_mixed_bundle
from tests.contracts.test_device_half import run as run_on_a_device


def test_the_same_model_gives_the_same_file_and_the_command_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model("network")
    model.save(tmp_path / "m.cic")
    for format in ("c", "python"):
        cic.export_decision(model, tmp_path / "library", format)
        assert main(["export", str(tmp_path / "m.cic"), "--format", format, "-o", str(tmp_path / "command")]) == 0
        assert (tmp_path / "command").read_bytes() == (tmp_path / "library").read_bytes()
    assert stat.S_IMODE((tmp_path / "command").stat().st_mode) == 0o666 & ~umask()
    assert "wrote" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "m.cic"), "--format", "c", "--prefix", "mine", "-o", str(tmp_path / "mine.h")]) == 0
    assert "mine_decide" in (tmp_path / "mine.h").read_text()


def umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@pytest.mark.parametrize(
    "options", [("--format", "rust"), ("--format", "python", "--prefix", "mine"), ("--format", "c", "--prefix", "9")]
)
def test_what_the_command_cannot_do_is_said(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_model("network").save(tmp_path / "m.cic")
    assert main(["export", str(tmp_path / "m.cic"), *options, "-o", str(tmp_path / "out")]) == 2
    assert repr(options[-1]) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_half_is_written_in_the_format_that_the_file_ends_in(
    onnx_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ["export", str(onnx_bundle), "--format", "head", "-o"]
    for name in ("head.onnx", "head.bin"):
        assert main([*export, str(tmp_path / name), "--cut", "cut-1"]) == 0
    cic.export_half(onnx_bundle, "cut-1", "head", tmp_path / "library", format_name="onnx")
    assert len({(tmp_path / name).read_bytes() for name in ("head.onnx", "head.bin", "library")}) == 1
    for options, message in (
        (("--cut", "cut-1"), "not emitted as 'torchscript'"),
        ((), "--cut ID"),
        (("--cut", "cut-1", "--cut", "server-only"), "--cut ID"),
        (("--cut", "cut-1", "--prefix", "mine"), "--prefix"),
    ):
        assert main([*export, str(tmp_path / "head.ts"), *options]) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "head.ts").exists()


def test_exporting_needs_nothing_but_python(tmp_path: Path) -> None:
    make_model("network").save(tmp_path / "m.cic")
    code = "from cic.cli import main; sys.exit(main(['export', sys.argv[1], '--format', 'c', '-o', sys.argv[2]]))"
    result = run_on_a_device(code, tmp_path / "m.cic", tmp_path / "cut.h")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "cut.h").stat().st_size > 1000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_bundle(tmp_path_factory.mktemp("bundles"), ("torchscript", "onnx"))


def test_tails_are_exported_for_triton(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["export", str(bundle), "--format", "triton", "-o", str(tmp_path / "repository")]
    assert main([*arguments, "--tail-format", "onnx", "--cut", "wide-1.2"]) == 0
    assert "mixed_wide-1.2" in capsys.readouterr().out.splitlines()
    assert (tmp_path / "repository" / "mixed_wide-1.2" / "1" / "model.onnx").is_file()
    assert main([*arguments, "--tail-format", "pt2"]) == 2
    assert re.search("Triton is to have exported_program", capsys.readouterr().err)
    assert main(["export", "m.cic", "--format", "c", "-o", "m.h", "--cut", "a"]) == 2
    assert "--cut is for tails; the decision is exported with all cuts" in capsys.readouterr().err


def test_tails_are_exported_for_ray_serve(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["export", str(bundle), "--format", "ray-serve", "-o", str(tmp_path / "application")]
    assert main([*arguments, "--tail-format", "onnx", "--engine", "onnxruntime", "--name", "small"]) == 0
    assert "small_wide-1.2" in capsys.readouterr().out.splitlines()
    assert {path.name for path in (tmp_path / "application").iterdir()} == {"tails.py", "serve.yaml", "bundle"}
    assert main([*arguments, "--engine", "tensorrt"]) == 2
    assert "no engine 'tensorrt'" in capsys.readouterr().err
    assert main([*arguments, "--cut", "wide-1.2"]) == 2
    assert "--cut is for the format 'triton'" in capsys.readouterr().err


def test_a_manifest_for_kserve_is_written_beside_the_repository(bundle: Path, tmp_path: Path):
    arguments = ["export", str(bundle), "--format", "triton", "-o", f"{tmp_path / 'repository'}/", "--cut", "wide-1.2"]
    assert main([*arguments, "--kserve", "pvc://models/repository"]) == 0
    assert "name: mixed" in (tmp_path / "repository.kserve.yaml").read_text()
