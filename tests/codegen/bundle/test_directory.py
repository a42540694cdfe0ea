"""Plans that cannot be written are refused before anything is, and a directory that is not ours stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, check_own
from codegen.errors import CodegenError
from codegen.manifest import FILE_NAME, read_manifest
from tests.codegen.residual_bundle import plans_of


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
