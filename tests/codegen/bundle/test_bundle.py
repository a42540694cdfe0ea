"""A bundle is whole or absent, loads without the model's code, and refuses what does not match its manifest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, check_own
from codegen.errors import CodegenError, MismatchError, UnsplittableError
from codegen.formats.emitter import formats
from codegen.loading import load_cut
from codegen.manifest import FILE_NAME, read_manifest, signed
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.small_models import Answer, Pair, Residual, TwoTowers, Views, calibrated, two_towers_call


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, FlatModule]:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 8, 8)
    model = calibrated(Residual(), example)
    return model, flat_module(model, (example,), fused=True)


def plans_of(traced: FlatModule, count: int = 2) -> list[CutPlan]:
    names = ["server-only", "device-only", *(f"cut-{index}" for index in range(count))]
    sets = traced.random_closed_sets(count)
    return [CutPlan(name, nodes, tuple(sorted(nodes))) for name, nodes in zip(names, sets, strict=True)]


@pytest.fixture(scope="module")
def bundle(residual: tuple[nn.Module, FlatModule], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundles") / "residual.split"
    write_bundle(directory, residual[1].source, plans_of(residual[1]), formats=formats())
    return directory


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copied.split"))


@pytest.mark.parametrize("format_name", formats())
@pytest.mark.parametrize("optimize", [False, True])
def test_loaded_halves_are_the_model(residual, bundle: Path, format_name: str, optimize: bool):
    model, _ = residual
    x = torch.randn(1, 3, 8, 8)
    manifest = read_manifest(bundle)
    assert len(manifest.cuts) == 4
    for record in manifest.cuts:
        cut = load_cut(bundle, record.id, format_name=format_name, optimize=optimize)
        results = cut.head(x)
        assert len(results) == len(cut.crossing) + len(cut.kept)
        with torch.no_grad():
            torch.testing.assert_close(cut.tail(*results), model(x), rtol=1e-4, atol=1e-5)


def test_every_cut_was_verified_in_every_format(bundle: Path):
    for cut in read_manifest(bundle).cuts:
        assert {check.format for check in cut.verification} == set(formats())
        for check in cut.verification:
            assert check.max_relative_error <= check.tolerance == 1e-4
            assert check.informative and check.input_sets == 2


@pytest.mark.parametrize(
    ("model", "call"),
    [(TwoTowers(), two_towers_call()), (Views(), ((torch.randn(2, 12),), {}))],
)
def test_structures_survive(model: nn.Module, call: tuple, tmp_path: Path):
    args, kwargs = call
    traced = flat_module(model, args, kwargs)
    write_bundle(tmp_path / "b", traced.source, plans_of(traced, 2))
    for record in read_manifest(tmp_path / "b").cuts:
        cut = load_cut(tmp_path / "b", record.id)
        answer = cut.tail(*cut.head(*args, **dict(reversed(kwargs.items()))))
        with torch.no_grad():
            expected = model(*args, **kwargs)
        assert type(answer) is type(expected)
        if isinstance(expected, Answer):
            torch.testing.assert_close(list(answer.hidden), list(expected.hidden))
            assert answer.note == expected.note
        else:
            assert isinstance(answer["pair"], Pair) and answer["flag"] is True and answer["pair"].second[1] is None
            torch.testing.assert_close(answer["logits"], expected["logits"])
            torch.testing.assert_close(answer["given"], expected["given"])
            torch.testing.assert_close(answer["steps"], expected["steps"])


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


def nested(depth: int) -> dict:
    structure: dict = {"kind": "none"}
    for _ in range(depth):
        structure = {"kind": "list", "items": [structure]}
    return structure


def edit_manifest(directory: Path, edit: Callable[[dict], object]) -> None:
    path = directory / FILE_NAME
    body = json.loads(path.read_text())
    edit(body)
    path.write_text(json.dumps(signed(body)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda body: body.update(format="other"), "is not the manifest of an emitted model"),
        (lambda body: body.update(version=1), "has format version 1, this program reads version 4"),
        (lambda body: body.pop("cuts"), "is damaged: cuts is missing"),
        (lambda body: body["cuts"][0].pop("outputs"), r"is damaged: cuts\[0\].outputs is missing"),
        (
            lambda body: body["cuts"][0]["files"]["torchscript"]["head"].update(path="../elsewhere.ts"),
            "may lead out of the bundle",
        ),
        (lambda body: body["cuts"][0].update(id="/../../evil"), r"cuts\[0\].id is '/../../evil', expected a name"),
        (lambda body: body["cuts"][0].update(id=body["cuts"][1]["id"]), "cuts names one twice"),
        (lambda body: body["cuts"][0]["outputs"][0].update(position=99), "finds an output at position 99"),
        (lambda body: body["inputs"][0].update(bytes=10**400), r"inputs\[0\].bytes is 10000.*, expected a whole number"),
        (lambda body: body["inputs"][0].update(shape=[1e999]), "is damaged: .*Infinity is not allowed"),
        (lambda body: body["inputs"][0].update(shape=[-1, 3]), r"inputs\[0\].shape is -1"),
        (lambda body: body["inputs"][0].update(dtype="float64"), "float64 of shape .* takes"),
        (lambda body: body["cuts"][0]["verification"][0].update(tolerance=-1.0), r"verification\[0\].tolerance is -1"),
        (lambda body: body.update(output_structure={"kind": "tensor", "leaf": 7}), "is tensor 7 where number 0 comes next"),
        (lambda body: body.update(output_structure={"kind": "none"}), "output_structure has 0 tensors, cut .* finds 1"),
        (lambda body: body["input_structure"]["items"].reverse(), "expected args and kwargs"),
        (lambda body: body.update(input_structure=nested(100)), "nested deeper than 64 levels"),
    ],
)
def test_a_manifest_that_is_foreign_or_damaged_is_refused(copied: Path, edit: Callable[[dict], object], message: str):
    edit_manifest(copied, edit)
    with pytest.raises(CodegenError, match=message):
        load_cut(copied, "cut-0")


def test_a_change_of_the_manifest_itself_is_found(copied: Path):
    path = copied / FILE_NAME
    path.write_text(path.read_text().replace('"server-only"', '"server-omly"'))
    with pytest.raises(CodegenError, match="is damaged: its content has another SHA-256"):
        load_cut(copied, "cut-0")


def test_a_manifest_that_is_no_file_keeps_nobody_waiting(copied: Path):
    path = copied / FILE_NAME
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CodegenError, match="it is a named pipe"):
        load_cut(copied, "cut-0")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(4 << 30)
    with pytest.raises(CodegenError, match="4294967296 bytes"):
        load_cut(copied, "cut-0")


def test_a_manifest_that_is_cut_short_is_refused(copied: Path, tmp_path: Path):
    path = copied / FILE_NAME
    for content in (path.read_text()[:-20], '{"a":' * 100_000, '{"a": NaN}', "", "\0", "1" * 5000):
        path.write_text(content)
        with pytest.raises(CodegenError, match="is damaged"):
            load_cut(copied, "cut-0")
    with pytest.raises(CodegenError, match=r"has no manifest\.json"):
        load_cut(tmp_path, "cut-0")


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


def test_an_older_bundle_is_replaced_and_nothing_else(residual, copied: Path):
    _, traced = residual
    source, plans = traced.source, plans_of(traced)[:1]
    newer = replace(source, model_digest="newer")
    with pytest.raises(CodegenError, match=r"holds another model, with the digest .*, to be emitted is newer;"):
        write_bundle(copied, newer, plans)
    assert read_manifest(copied).model_digest == source.model_digest
    write_bundle(copied, newer, plans, replace=True)
    assert read_manifest(copied).model_digest == "newer"
    assert sorted(path.name for path in copied.iterdir()) == [FILE_NAME, "server-only"]
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]

    (copied / "notes.txt").write_text("mine")
    for again in (source, newer):
        with pytest.raises(CodegenError, match=r"holds notes.txt, which is not part of the emitted model"):
            write_bundle(copied, again, plans, replace=True)
    foreign = copied.parent / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(CodegenError, match="is not empty and not an emitted model"):
        write_bundle(foreign, source, plans)
    with pytest.raises(CodegenError, match="exists and is not a directory"):
        write_bundle(foreign / "thesis.tex", source, plans)
    assert (foreign / "thesis.tex").read_text() == (copied / "notes.txt").read_text() == "mine"


def test_an_empty_directory_is_nobody_s(tmp_path: Path):
    check_own(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(CodegenError, match="is not empty"):
        check_own(tmp_path)


def test_a_failure_leaves_the_older_bundle_and_no_rubbish(residual, copied: Path):
    _, traced = residual
    before = (copied / FILE_NAME).read_text()
    with pytest.raises(UnsplittableError):
        write_bundle(copied, traced.source, [CutPlan("bad", frozenset({traced.ops[-1]}), ())])
    with pytest.raises(
        MismatchError, match=r"cut server-only: the halves differ .* in output \(made by the tail\): relative error"
    ):
        write_bundle(copied, traced.source, plans_of(traced)[:1], whole=lambda x: (traced.source.module(x)[0] * 1.01,))
    assert (copied / FILE_NAME).read_text() == before
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_halves_are_compared_on_further_inputs_too(residual, tmp_path: Path):
    source, nines = residual[1].source, [[torch.full((1, 3, 8, 8), 9.0)]]
    plans = plans_of(residual[1])[:1]
    manifest = write_bundle(tmp_path / "b", source, plans, further_inputs=nines)
    assert manifest.cuts[0].verification[0].input_sets == 3

    def wrong_for_nines_only(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(output * (2 if bool((x == 9).all()) else 1) for output in source.module(x))

    with pytest.raises(MismatchError, match="input set 2"):
        write_bundle(tmp_path / "b", source, plans, whole=wrong_for_nines_only, further_inputs=nines)


def test_plans_that_cannot_be_written_are_refused(residual, tmp_path: Path):
    source = residual[1].source
    plan = CutPlan("one", frozenset(), ())
    for plans, message in (
        ([], "no cut to write"),
        ([plan, plan], "cut ids must differ"),
        ([replace(plan, id="../up")], "the cut id '../up' names a directory"),
    ):
        with pytest.raises(CodegenError, match=message):
            write_bundle(tmp_path / "b", source, plans)
    with pytest.raises(CodegenError, match="unknown format 'tflite'; known formats: torchscript"):
        write_bundle(tmp_path / "b", source, [plan], formats=("tflite",))
    with pytest.raises(CodegenError, match=r"has 1 inputs \(x\), but there are 0 example inputs"):
        write_bundle(tmp_path / "b", replace(source, example_inputs=[]), [plan])
    with pytest.raises(CodegenError, match=r"input x to verify on is torch.float32 of shape \(2, 3, 8, 8\), the example's is"):
        write_bundle(tmp_path / "b", source, [plan], further_inputs=[[torch.zeros(2, 3, 8, 8)]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_interpreter
def test_the_manifest_is_read_without_torch(bundle: Path):
    program = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path; from codegen.manifest import read_manifest;"
        "import codegen.loading; print(read_manifest(Path(sys.argv[1])).cut('cut-0').id)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(bundle)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cut-0"
