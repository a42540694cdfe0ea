"""A bundle keeps what codecs are made from, by digest, and hands out nothing else: damage is told by file and digest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.bundle.source import Source
from codegen.errors import CodegenError
from codegen.loading import files_of, load_cut
from codegen.manifest import CODECS_FOLDER, FILE_NAME, LARGEST_CODEC_BYTES, codec_path, read_manifest, signed
from tests.codegen.bundle.test_addition import X, traced  # noqa: F401 - a fixture
from tests.codegen.unverified import unverified  # noqa: F401 - used by all tests here

CONTENTS = {sha256(content).hexdigest(): content for content in (b"one" * 500, b"two" * 700, b"three" * 900)}
ONE, TWO, THREE = CONTENTS


@pytest.fixture(scope="module")
def emitted(traced: tuple[Source, list[CutPlan]], tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Two cuts that share one content and have one alone."""
    directory = tmp_path_factory.mktemp("emitted") / "m.split"
    plans = [replace(traced[1][0], codecs=(ONE,)), replace(traced[1][1], codecs=(ONE, TWO))]
    write_bundle(directory, traced[0], plans, codecs=CONTENTS)
    return directory


@pytest.fixture
def place(emitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(emitted, tmp_path / "m.split"))


def stored(place: Path) -> set[str]:
    return set(os.listdir(place / CODECS_FOLDER)) if (place / CODECS_FOLDER).exists() else set()


def test_each_cut_has_its_contents_and_no_others_are_kept(emitted: Path) -> None:
    manifest = read_manifest(emitted)
    assert stored(emitted) == {ONE, TWO} and manifest.codecs == {sha: len(CONTENTS[sha]) for sha in (ONE, TWO)}
    assert load_cut(emitted, "cut-0").codecs == {ONE: CONTENTS[ONE]}
    for half in ("head", "tail"):
        loaded = load_cut(emitted, "cut-1", half=half)  # type: ignore[arg-type]
        assert loaded.codecs == {ONE: CONTENTS[ONE], TWO: CONTENTS[TWO]} and CONTENTS[ONE].decode() not in repr(loaded)
        listed = {record.path for record in files_of(emitted, "cut-1", half)}  # type: ignore[arg-type]
        assert {codec_path(ONE), codec_path(TWO)} < listed


def test_what_is_added_keeps_them_and_what_replaces_does_not(
    traced: tuple[Source, list[CutPlan]],  # noqa: F811
    place: Path,
) -> None:
    source, plans = traced
    write_bundle(place, source, [replace(plans[2], codecs=(THREE,))], codecs=CONTENTS)
    assert stored(place) == set(CONTENTS) and load_cut(place, "cut-2").codecs == {THREE: CONTENTS[THREE]}
    write_bundle(place, source, [replace(plans[0], codecs=(TWO,))], codecs=CONTENTS)
    assert set(load_cut(place, "cut-0").codecs) == {ONE, TWO}
    write_bundle(place, source, [replace(plans[0], codecs=(TWO,))], codecs=CONTENTS, replace=True)
    assert stored(place) == {TWO} and read_manifest(place).codecs == {TWO: len(CONTENTS[TWO])}
    write_bundle(place, source, plans[:1], replace=True)
    assert not (place / CODECS_FOLDER).exists()


def test_a_damaged_content_is_not_kept(traced: tuple[Source, list[CutPlan]], place: Path) -> None:  # noqa: F811
    (place / codec_path(TWO)).write_bytes(CONTENTS[TWO][:-1] + b"!")
    with pytest.raises(CodegenError, match=rf"cannot be added to, what it has besides is damaged \(.*{TWO} has SHA-256"):
        write_bundle(place, traced[0], traced[1][2:])


def flip(path: Path, outside: Path) -> None:
    path.write_bytes(bytes((CONTENTS[TWO][0] ^ 1, *CONTENTS[TWO][1:])))


def remove(path: Path, outside: Path) -> None:
    path.unlink()


def cut_short(path: Path, outside: Path) -> None:
    path.write_bytes(CONTENTS[TWO][:-1])


def exchange(path: Path, outside: Path) -> None:
    path.write_bytes(CONTENTS[ONE])


def link_to_endless(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def link_to_other(path: Path, outside: Path) -> None:
    path.unlink()
    (outside / "other").write_bytes(b"x" * len(CONTENTS[TWO]))
    path.symlink_to(outside / "other")


def make_pipe(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grow(path: Path, outside: Path) -> None:
    os.truncate(path, 4 << 30)


@pytest.mark.parametrize("damage", [flip, remove, cut_short, exchange, link_to_endless, link_to_other, make_pipe, grow])
def test_what_is_not_as_recorded_is_never_handed_out(place: Path, tmp_path: Path, damage: Callable[[Path, Path], None]) -> None:
    damage(place / codec_path(TWO), tmp_path)
    with pytest.raises(CodegenError, match=rf"{TWO} (has|is)"):
        load_cut(place, "cut-1")
    assert load_cut(place, "cut-0").codecs == {ONE: CONTENTS[ONE]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"codecs": {}}, rf"cuts\[0\]\.codecs is '{ONE}', expected one that codecs has the size of"),
        ({"codecs": {ONE: LARGEST_CODEC_BYTES, TWO: 5}}, f"codecs.{ONE} is {LARGEST_CODEC_BYTES}, expected a whole number"),
        ({"codecs": {ONE: -1, TWO: 5}}, f"codecs.{ONE} is -1, expected a whole number"),
        ({"codecs": {"../../etc/passwd": 5}}, r"expected a SHA-256"),
        ({"codecs": [ONE]}, "codecs is .*, expected an object"),
    ],
)
def test_manifests_that_cannot_be_right_are_refused(place: Path, change: dict[str, object], told: str) -> None:
    body = json.loads((place / FILE_NAME).read_text())
    (place / FILE_NAME).write_text(json.dumps(signed({**body, **change})))
    with pytest.raises(CodegenError, match=told):
        load_cut(place, "cut-0")


def test_contents_are_checked_before_anything_is_written(
    traced: tuple[Source, list[CutPlan]],  # noqa: F811
    tmp_path: Path,
) -> None:
    plans = [replace(traced[1][0], codecs=(ONE,))]
    for given, told in (({}, "which is not given"), ({ONE: CONTENTS[TWO]}, f"given is one with {TWO} of 2100 bytes")):
        with pytest.raises(CodegenError, match=f"cut cut-0 needs the content of a codec with SHA-256 {ONE}.*{told}"):
            write_bundle(tmp_path / "m.split", traced[0], plans, codecs=given)
    with pytest.raises(CodegenError, match=r"names a directory: use .* but not manifest\.json, weights, codecs"):
        write_bundle(tmp_path / "m.split", traced[0], [replace(traced[1][0], id="codecs")])
    assert not list(tmp_path.iterdir())


def test_a_file_of_somebody_among_them_is_left_alone(traced: tuple[Source, list[CutPlan]], place: Path) -> None:  # noqa: F811
    (place / CODECS_FOLDER / "notes").write_text("mine")
    with pytest.raises(CodegenError, match="holds codecs/notes, which is not part of the emitted model"):
        write_bundle(place, traced[0], traced[1][:1], replace=True)
    assert (place / CODECS_FOLDER / "notes").read_text() == "mine"
