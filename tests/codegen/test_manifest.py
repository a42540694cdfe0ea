"""A manifest that is foreign, damaged, changed or no file is refused by name, and the one that is read needs no torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.errors import CodegenError
from codegen.loading import load_cut
from codegen.manifest import FILE_NAME, served_name, signed


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
        (lambda body: body.update(version=1), "has format version 1, this program reads version 9"),
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
        (lambda body: body.update(name="../elsewhere"), "name is '../elsewhere', expected a name"),
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


@pytest.mark.real_interpreter
def test_the_manifest_is_read_without_torch(bundle: Path):
    program = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path; from codegen.manifest import read_manifest;"
        "import codegen.loading; print(read_manifest(Path(sys.argv[1])).cut('cut-0').id)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(bundle)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cut-0"


@given(st.text())
def test_any_text_gives_a_name_that_can_be_served(text: str):
    name = served_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name)
    assert served_name(name) == name or len(text) > 100


def test_names_that_can_be_served_stay():
    for name in ("resnet50", "vit_base_patch16_224.augreg", "Small", "a-1"):
        assert served_name(name) == name
    assert served_name("torchvision:resnet 50") == "torchvision-resnet-50"
    assert served_name("../") == served_name("") == "model"
