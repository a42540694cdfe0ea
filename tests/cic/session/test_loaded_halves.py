"""Heads are loaded when wished for, within a limit; the one that is to be kept stays, and the least recently used go first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cic.engine.opening import engine_of
from cic.errors import EngineError, InputError
from cic.session.loaded_halves import LoadedHalves
from codegen.manifest import Manifest, read_manifest
from tests.cic.conftest import Project


@pytest.fixture
def manifest(project: Project) -> Manifest:
    return read_manifest(project.split)


@pytest.fixture
def made(project: Project, manifest: Manifest) -> Iterator[Callable[..., LoadedHalves]]:
    all_made = []

    def make(limit: int | None = None, bundle: Path = project.split, kept: str | None = "device-only") -> LoadedHalves:
        all_made.append(LoadedHalves(bundle, manifest, None, 1, limit, kept))
        return all_made[-1]

    yield make
    for halves in all_made:
        halves.close()


def head_bytes(project: Project, manifest: Manifest, *cut_ids: str) -> int:
    halves = LoadedHalves(project.split, manifest, None, 1, None)
    return halves._bytes([(cut_id, "head") for cut_id in cut_ids])


def settle(halves: LoadedHalves) -> None:
    end_s = time.monotonic() + 20
    while halves.busy and time.monotonic() < end_s:
        time.sleep(0.005)


def test_what_is_kept_is_there_at_once_and_a_wish_in_a_while(made: Callable[..., LoadedHalves], manifest: Manifest) -> None:
    halves = made()
    assert halves.has(("device-only", "head")) and not halves.has(("cut-01", "head"))
    halves.wish("cut-01")
    halves.wish("cut-01")
    settle(halves)
    assert halves.has(("cut-01", "head")) and halves.has(("cut-01", "tail"))
    head = halves.get(("cut-01", "head"))
    assert head is not None and head.outputs == manifest.cut("cut-01").crossing
    assert halves.load(("cut-01", "head")) is head


def test_the_least_recently_used_heads_make_room(
    made: Callable[..., LoadedHalves], project: Project, manifest: Manifest
) -> None:
    both = head_bytes(project, manifest, "device-only", "cut-01", "cut-02")
    halves = made(both)
    for cut_id in ("cut-01", "cut-02"):
        halves.load((cut_id, "head"))
    halves.get(("cut-01", "head"))
    halves.load(("server-only", "head"))
    assert [halves.has((cut_id, "head")) for cut_id in ("device-only", "cut-01", "cut-02", "server-only")] == [
        True, True, False, True,
    ]  # fmt: skip


def test_a_tail_drives_out_no_head(made: Callable[..., LoadedHalves], project: Project, manifest: Manifest) -> None:
    halves = made(head_bytes(project, manifest, "device-only", "cut-01"))
    halves.wish("cut-01")
    settle(halves)
    assert halves.has(("cut-01", "head")) and not halves.has(("cut-01", "tail"))
    assert halves.fits("cut-01"), "its head does"


def test_what_is_beyond_the_limit_is_not_loaded(
    made: Callable[..., LoadedHalves], project: Project, manifest: Manifest
) -> None:
    with pytest.raises(InputError, match="the limit of memory is 1000"):
        made(1000)
    halves = made(head_bytes(project, manifest, "device-only") + 10)
    with pytest.raises(InputError, match="the limit of memory"):
        halves.load(("cut-02", "head"))
    assert not halves.fits("cut-02") and halves.has(("device-only", "head"))


def test_shared_weights_count_once(project: Project, manifest: Manifest) -> None:
    alone = [head_bytes(project, manifest, cut.id) for cut in manifest.cuts]
    together = head_bytes(project, manifest, *(cut.id for cut in manifest.cuts))
    shared = any(cut.files[engine_format].head.bare for cut in manifest.cuts for engine_format in cut.files)
    assert together < sum(alone) if shared else together == sum(alone)


def test_a_damaged_head_is_told_and_left_out(
    made: Callable[..., LoadedHalves], project: Project, heads: Path, manifest: Manifest
) -> None:
    for file in (heads / "cut-01").glob("*head*"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    halves = made(bundle=heads)
    told: list[str] = []
    halves.on_trouble = told.append
    halves.wish("cut-01")
    settle(halves)
    assert not halves.fits("cut-01") and not halves.has(("cut-01", "head"))
    assert [each[:22] for each in told] == ["cut cut-01 is not used"]


def test_a_missing_tail_is_done_without(made: Callable[..., LoadedHalves], heads: Path) -> None:
    halves = made(bundle=heads)
    halves.wish("cut-02")
    settle(halves)
    assert halves.has(("cut-02", "head")) and not halves.has(("cut-02", "tail")) and halves.fits("cut-02")


def test_an_unknown_engine_is_an_error(project: Project, manifest: Manifest) -> None:
    with pytest.raises(EngineError):
        LoadedHalves(project.split, manifest, "abacus", 1, None, "device-only")
    assert engine_of(project.split, "cut-01")
