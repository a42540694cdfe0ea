"""A cut is loaded without the model's code, from files that are as they were written, and takes the call it was made for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codegen.errors import CodegenError
from codegen.loading import files_of, load_cut
from codegen.manifest import read_manifest


def test_over_a_link_only_crossing_and_returned_tensors_travel(bundle: Path, residual):
    x = torch.randn(1, 3, 8, 8)
    for record in read_manifest(bundle).cuts:
        device, server = load_cut(bundle, record.id, half="head"), load_cut(bundle, record.id, half="tail")
        results = device.run_head_flat(device.flatten_inputs(x))
        returned = server.run_tail_flat(results[: len(device.crossing)])
        assert [tuple(tensor.shape) for tensor in returned] == [wire.shape for wire in record.returned]
        with torch.no_grad():
            torch.testing.assert_close(device.assemble(results, returned), residual[0](x), rtol=1e-4, atol=1e-5)


def test_a_device_needs_no_tail(copied: Path):
    for record in read_manifest(copied).cuts:
        (copied / record.files["torchscript"].tail.path).unlink()
    cut = load_cut(copied, "cut-0", half="head")
    results = cut.head(torch.randn(1, 3, 8, 8))
    with pytest.raises(CodegenError, match=r"the tail of cut cut-0 is not loaded; load the cut with half=None"):
        cut.tail(*results)
    with pytest.raises(CodegenError, match=r"tail.ts is missing; emit the model again"):
        load_cut(copied, "cut-0")


@pytest.mark.parametrize(
    ("name", "called"),
    [("exported_program", ("pt2", ".pt2")), ("torchscript", (".ts",)), ("onnx", (".onnx",))],
)
def test_a_format_is_called_as_its_files_end(bundle: Path, name: str, called: tuple[str, ...]):
    files = files_of(bundle, "cut-0", "head", name)
    assert all(files_of(bundle, "cut-0", "head", each) == files for each in called)
    assert files[0].path.endswith(called[0].removeprefix("."))


@pytest.mark.parametrize("position", [0.0, 0.3, 0.5, 0.9])
def test_a_flipped_bit_is_found_before_anything_is_loaded(copied: Path, position: float):
    path = copied / "cut-0" / "head.ts"
    raw = bytearray(path.read_bytes())
    raw[int(position * len(raw))] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CodegenError, match=r"head.ts has SHA-256 .*, the manifest says .*damaged"):
        load_cut(copied, "cut-0")
    load_cut(copied, "cut-0", half="tail")


def test_a_shortened_file_is_found(copied: Path):
    path = copied / "cut-0" / "head.ts"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CodegenError, match=r"head.ts has \d+ bytes, the manifest says \d+"):
        load_cut(copied, "cut-0")


def test_questions_a_bundle_cannot_answer(bundle: Path):
    with pytest.raises(CodegenError, match="no cut 'nowhere'; known cuts: server-only, device-only, cut-0, cut-1"):
        load_cut(bundle, "nowhere")
    with pytest.raises(CodegenError, match="not emitted as 'tflite'; there is torchscript, exported_program, onnx"):
        load_cut(bundle, "cut-0", format_name="tflite")
    with pytest.raises(CodegenError, match="a half is 'head', 'tail' or None"):
        load_cut(bundle, "cut-0", half="middle")  # type: ignore[arg-type]


def test_a_call_with_other_shapes_or_types_is_refused(bundle: Path):
    cut = load_cut(bundle, "cut-0")
    with pytest.raises(CodegenError, match=r"args\[0\]: the model was compiled for float32 of shape \(1, 3, 8, 8\), call"):
        cut.head(torch.randn(2, 3, 8, 8))
    with pytest.raises(CodegenError, match=r"called with float64 of shape"):
        cut.head(torch.randn(1, 3, 8, 8).double())
    with pytest.raises(CodegenError, match=r"the tail of cut cut-0 takes the \d results of head, got 0"):
        cut.tail()
