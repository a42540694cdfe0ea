"""Operators that a library registers stay in the halves: the manifest says which half needs it, and it is loaded first."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.loading import load_cut
from codegen.manifest import FileRecord, read_manifest, write_manifest
from codegen.operator_libraries import Need, library_of, load_needs, needs_of
from tests.codegen import doubling_operator
from tests.codegen.flat_module import flat_module

LIBRARY = doubling_operator.__name__
NEED = Need(LIBRARY, ("cic_test::doubled",))


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(doubling_operator.doubled(self.first(x).relu()))


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    model = Doubling().eval()
    traced = flat_module(model, (torch.randn(3, 4),))
    directory = tmp_path_factory.mktemp("needs") / "doubling.split"
    doubled = next(position for position, name in enumerate(traced.ops) if "doubled" in name)
    plans = [
        CutPlan("before", traced.closed_set(traced.ops[doubled - 1 : doubled]), ()),
        CutPlan("after", frozenset(traced.ops), ()),
    ]
    write_bundle(directory, traced.source, plans, formats=("torchscript", "exported_program"))
    return directory, model


@pytest.mark.parametrize("format_name", ["torchscript", "exported_program"])
def test_halves_with_an_operator_of_a_library_are_verified_in_fresh_processes_and_run(emitted, format_name: str) -> None:
    directory, model = emitted
    x = torch.randn(3, 4)
    for record in read_manifest(directory).cuts:
        cut = load_cut(directory, record.id, format_name=format_name)
        torch.testing.assert_close(cut.tail(*cut.head(x)), model(x))
        assert [check.format for check in record.verification] == ["torchscript", "exported_program"]


def test_the_half_that_calls_the_operator_needs_the_library_and_the_other_does_not(emitted) -> None:
    needs = {
        (cut.id, half): files.of(half).needs
        for cut in read_manifest(emitted[0]).cuts
        for files in cut.files.values()
        for half in ("head", "tail")
    }
    assert needs == {("before", "head"): (), ("before", "tail"): (NEED,), ("after", "head"): (NEED,), ("after", "tail"): ()}


def test_a_library_is_not_imported_because_a_manifest_names_it(emitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, LIBRARY)
    with pytest.raises(
        CodegenError, match=rf"the tail of cut before calls cic_test::doubled of the library {LIBRARY}, which is not"
    ):
        load_cut(emitted[0], "before")
    load_cut(emitted[0], "before", half="head")
    assert LIBRARY not in sys.modules


def _renamed(directory: Path, rename: Callable[[Need], Need]) -> None:
    def changed(record: FileRecord) -> FileRecord:
        return replace(record, needs=tuple(map(rename, record.needs)))

    manifest = read_manifest(directory)
    cuts = tuple(
        replace(
            cut,
            files={name: replace(each, head=changed(each.head), tail=changed(each.tail)) for name, each in cut.files.items()},
        )
        for cut in manifest.cuts
    )
    write_manifest(directory, replace(manifest, cuts=cuts))


def test_a_known_library_that_is_missing_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)

    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(
        CodegenError, match=r"the head of cut x calls torchaudio::f of the library torchaudio, .* \(pip install tor"
    ):
        load_needs([Need("torchaudio", ("torchaudio::f",))], "the head of cut x")


def test_a_version_without_the_operator_is_told() -> None:
    with pytest.raises(CodegenError, match=r"the one that is here does not register cic_test::tripled"):
        load_needs([Need(LIBRARY, ("cic_test::doubled", "cic_test::tripled"))], "the head")


@pytest.mark.parametrize("library", ["os; print()", "..x", "", "a b"])
def test_what_names_no_module_is_damage(emitted, tmp_path: Path, library: str) -> None:
    copy = tmp_path / "copy.split"
    copy.mkdir()
    (copy / "manifest.json").write_bytes((emitted[0] / "manifest.json").read_bytes())
    _renamed(copy, lambda need: replace(need, library=library))
    with pytest.raises(CodegenError, match=r"library is .*, expected the name of a module"):
        read_manifest(copy)


def test_the_module_that_registers_an_operator_is_found_by_its_function_its_file_or_its_namespace() -> None:
    assert library_of(torch.ops.cic_test.doubled.default) == LIBRARY
    made = torch.library.Library("cic_test_here", "DEF")
    made.define("kept(Tensor x) -> Tensor")
    assert library_of(torch.ops.cic_test_here.kept.default) == __name__


def test_an_operator_of_no_module_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, LIBRARY)
    with pytest.raises(CodegenError, match="no module that is imported here registers the operator cic_test::doubled"):
        needs_of([torch.ops.cic_test.doubled.default])
