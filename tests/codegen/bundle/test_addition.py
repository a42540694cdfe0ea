"""Emitting to where an emission is adds to it, loses nothing, and leaves alone what is not its own."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.bundle.source import Source
from codegen.errors import CodegenError
from codegen.loading import load_cut
from codegen.manifest import FILE_NAME, read_manifest
from tests.codegen.flat_module import flat_module
from tests.codegen.unverified import unverified  # noqa: F401 - used by all tests here


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(60, 60), nn.ReLU(), nn.Linear(60, 60), nn.Sigmoid())


X = torch.rand(2, 60)


@pytest.fixture(scope="module")
def traced() -> tuple[Source, list[CutPlan]]:
    flat = flat_module(network(0), (X,))
    plans = [CutPlan(f"cut-{index}", nodes, tuple(sorted(nodes))) for index, nodes in enumerate(flat.random_closed_sets(1))]
    return flat.source, plans


@pytest.fixture(scope="module")
def emitted(traced: tuple[Source, list[CutPlan]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("emitted") / "m.split"
    write_bundle(directory, traced[0], traced[1][:2])
    return directory


@pytest.fixture
def place(emitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(emitted, tmp_path / "m.split"))


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("weights", ["shared", "inline"])
def test_cuts_and_formats_are_added(traced: tuple[Source, list[CutPlan]], place: Path, weights: str) -> None:
    source, plans = traced
    whole = source.module(X)[0]
    before = files(place)
    write_bundle(place, source, plans[2:], storage=weights)  # type: ignore[arg-type]
    assert [cut.id for cut in read_manifest(place).cuts] == [plan.id for plan in plans]
    manifest = write_bundle(place, source, plans[1:2], formats=("exported_program",), storage=weights)  # type: ignore[arg-type]
    assert manifest == read_manifest(place)
    assert list(manifest.cut("cut-1").files) == ["torchscript", "exported_program"]
    assert [check.format for check in manifest.cut("cut-1").verification] == ["torchscript", "exported_program"]
    assert bool(manifest.weights) == (weights == "shared")
    for cut in manifest.cuts:
        for format_name in cut.files:
            loaded = load_cut(place, cut.id, format_name=format_name)
            torch.testing.assert_close(loaded.tail(*loaded.head(X)), whole)
    if weights == "inline":
        assert all(files(place)[name] == content for name, content in before.items() if name != FILE_NAME)
    assert os.listdir(place.parent) == [place.name]


def test_another_training_is_not_put_in_its_place_unless_asked_for(traced: tuple[Source, list[CutPlan]], place: Path) -> None:
    other = flat_module(network(1), (X,)).source
    assert other.model_digest == traced[0].model_digest
    before = files(place)
    with pytest.raises(CodegenError, match="holds another training of the model, with the digest"):
        write_bundle(place, other, traced[1][:1])
    assert files(place) == before
    write_bundle(place, other, traced[1][:1], replace=True)
    assert [cut.id for cut in read_manifest(place).cuts] == ["cut-0"]


def test_a_cut_of_another_compilation_or_call_is_not_mixed_in(traced: tuple[Source, list[CutPlan]], place: Path) -> None:
    source, plans = traced
    with pytest.raises(CodegenError, match=r"holds a cut cut-0 with .* it is from another compilation; emit with replace"):
        write_bundle(place, source, [replace(plans[2], id="cut-0")])
    structure = {**source.input_structure, "more": 1}
    with pytest.raises(CodegenError, match="another call of this model, input_structure differ"):
        write_bundle(place, replace(source, input_structure=structure), plans)


def add_file(place: Path, outside: Path) -> None:
    (place / "cut-0" / "measurements.csv").write_text("mine")


def add_deep_file(place: Path, outside: Path) -> None:
    (place / "cut-0" / "results" / "of" / "may").mkdir(parents=True)
    (place / "cut-0" / "results" / "of" / "may" / "measurements.csv").write_text("mine")


def add_empty_folder(place: Path, outside: Path) -> None:
    (place / "results").mkdir()


def add_hidden_file(place: Path, outside: Path) -> None:
    (place / "cut-1" / ".notes").write_text("mine")


def put_on_another_disk(place: Path, outside: Path) -> None:
    shutil.move(place / "cut-1", outside / "cut-1")
    (place / "cut-1").symlink_to(outside / "cut-1")


def add_link_to_file(place: Path, outside: Path) -> None:
    (place / "cut-1" / "tail.ts").rename(outside / "tail.ts")
    (place / "cut-1" / "tail.ts").symlink_to(outside / "tail.ts")


def claim_file(place: Path, outside: Path) -> None:
    """A manifest that says that a user's file is the bundle's."""
    (place / "thesis.tex").write_text("mine")
    text = (place / FILE_NAME).read_text()
    (place / FILE_NAME).write_text(text.replace('"path": "cut-1/tail.ts"', '"path": "thesis.tex"'))


@pytest.mark.parametrize(
    "add", [add_file, add_deep_file, add_empty_folder, add_hidden_file, put_on_another_disk, add_link_to_file, claim_file]
)
@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_not_its_own_is_never_replaced(
    traced: tuple[Source, list[CutPlan]],
    place: Path,
    tmp_path: Path,
    add: Callable[[Path, Path], None],
    through_link: bool,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    add(place, outside)
    before = files(tmp_path)
    (tmp_path / "link").symlink_to(place)
    for again in (False, True):
        with pytest.raises(CodegenError, match="not part of the emitted model; move it away first"):
            write_bundle(tmp_path / "link" if through_link else place, traced[0], traced[1][:1], replace=again)
    (tmp_path / "link").unlink()
    assert files(tmp_path) == before


def test_what_appears_while_it_is_emitted_is_not_replaced_either(traced: tuple[Source, list[CutPlan]], place: Path) -> None:
    def appear(step: str) -> None:
        (place / "mine").write_text("mine")

    before = files(place)
    with pytest.raises(CodegenError, match="holds mine, which is not part"):
        write_bundle(place, traced[0], traced[1][2:], progress=appear, replace=True)
    assert files(place) == {**before, "mine": b"mine"}


def test_a_damaged_half_is_not_kept(traced: tuple[Source, list[CutPlan]], place: Path) -> None:
    path = place / "cut-1" / "tail.ts"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CodegenError, match=r"cut-1/tail.ts has SHA-256"):
        write_bundle(place, traced[0], traced[1][:1])
    write_bundle(place, traced[0], traced[1][1:2])  # that half is emitted anew
    load_cut(place, "cut-1")


def test_two_that_emit_to_one_place_lose_nothing(traced: tuple[Source, list[CutPlan]], tmp_path: Path) -> None:
    place, meet = tmp_path / "m.split", threading.Barrier(2)

    def emit(plan: CutPlan) -> None:
        write_bundle(place, traced[0], [plan], progress=lambda step: meet.wait() if step.startswith("tail") else None)

    workers = [threading.Thread(target=emit, args=(plan,)) for plan in traced[1][:2]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {cut.id for cut in read_manifest(place).cuts} == {"cut-0", "cut-1"}
    assert os.listdir(tmp_path) == ["m.split"]


def test_a_place_that_may_not_be_written_is_refused_by_name(traced: tuple[Source, list[CutPlan]], place: Path) -> None:
    for closed in (place, place.parent):
        mode = closed.stat().st_mode
        closed.chmod(0o555)
        with pytest.raises(CodegenError, match=f"cannot write {place}: Permission denied"):
            write_bundle(place, traced[0], traced[1])
        closed.chmod(mode)
    with pytest.raises(CodegenError, match="exists and is not a directory"):
        write_bundle(place / FILE_NAME, traced[0], traced[1])
