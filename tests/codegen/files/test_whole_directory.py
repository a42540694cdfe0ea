"""A directory takes the place of an older one in one step, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import codegen.files.whole_directory
from codegen.files.leftovers import WAS, temporary_directory
from codegen.files.whole_directory import built_beside, held, put_in_place


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture(params=["exchanged", "in two steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "in two steps":
        monkeypatch.setattr(codegen.files.whole_directory, "_exchanged", lambda one, other: False)
    return str(request.param)


def test_a_directory_takes_the_place_of_an_older_one(tmp_path: Path, way: str) -> None:
    place = tmp_path / "place"
    for name in ("old", "new"):
        with built_beside(place) as building:
            (building / name).touch()
            put_in_place(building, place)
        assert names(place) == [name]
    os.mkdir(tmp_path / "other")
    assert place.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert names(tmp_path) == ["other", "place"]


def test_a_directory_that_fails_leaves_the_older_one(tmp_path: Path, way: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(RuntimeError), built_beside(place) as building:
        (building / "new").touch()
        raise RuntimeError
    with built_beside(place) as building, pytest.raises(OSError):
        put_in_place(building / "never made", place)
    assert names(tmp_path) == ["place"] and names(place) == ["old"]


def test_the_older_directory_comes_back_if_it_must_not_go(tmp_path: Path, way: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "mine").touch()

    def refuse(old: Path) -> None:
        assert names(old) == ["mine"]
        raise RuntimeError

    with built_beside(place) as building, pytest.raises(RuntimeError):
        put_in_place(building, place, refuse)
    assert names(tmp_path) == ["place"] and names(place) == ["mine"]


def test_a_directory_made_meanwhile_is_not_lost(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with built_beside(place) as building:
        place.mkdir()
        (place / "mine").touch()
        with pytest.raises(OSError):
            building.rename(place)
    assert names(place) == ["mine"]


def test_the_exchange_is_seen_whole_by_whoever_looks(tmp_path: Path) -> None:
    place, stop = tmp_path / "place", threading.Event()
    place.mkdir()
    (place / "file").touch()
    seen: list[bool] = []

    def look() -> None:
        while not stop.is_set():
            seen.append((place / "file").exists())

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(50):
        with built_beside(place) as building:
            (building / "file").touch()
            put_in_place(building, place)
    stop.set()
    watcher.join()
    # Between finding the directory and the file in it, a directory can go; it is never absent.
    assert len(seen) > 50 and seen.count(False) < len(seen) / 20


def test_killed_between_two_renames_the_older_directory_comes_back(tmp_path: Path) -> None:
    left = tmp_path / f".cic-{'0' * 16}"
    (left / WAS / "place").mkdir(parents=True)
    (left / WAS / "place" / "old").touch()
    (left / "place").mkdir()
    with temporary_directory(tmp_path):
        assert names(tmp_path / "place") == ["old"]
    assert names(tmp_path) == ["place"]


def test_told_to_end_between_two_renames_the_older_directory_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codegen.files.whole_directory, "_exchanged", lambda one, other: False)
    place, rename = tmp_path / "place", Path.rename
    place.mkdir()
    (place / "old").touch()

    def interrupted(source: Path, target: Path) -> Path:
        rename(source, target)
        if source == place:
            raise SystemExit(143)
        return target

    with pytest.raises(SystemExit), built_beside(place) as building:
        monkeypatch.setattr(Path, "rename", interrupted)
        put_in_place(building, place)
    assert names(tmp_path) == ["place"] and names(place) == ["old"]


def test_changes_of_one_place_wait_for_each_other(tmp_path: Path) -> None:
    place = tmp_path / "place"

    def add(name: str) -> None:
        with built_beside(place) as building, held(place):
            for old in place.iterdir():
                (building / old.name).touch()
            (building / name).touch()
            put_in_place(building, place)

    place.mkdir()
    workers = [threading.Thread(target=add, args=(str(number),)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert names(place) == [str(number) for number in range(8)] and names(tmp_path) == ["place"]
