"""Files and directories are whole or absent, whatever goes wrong while they are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codegen.atomic import built_beside, put_in_place, replacing, write_whole


def test_a_file_is_written_with_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_whole(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_a_relative_path_is_one_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half of the ne")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "absent" / "file", tmp_path / "taken"):
        with pytest.raises(OSError):
            write_whole(path, b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_directory_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    place = tmp_path / "place"
    for name in ("old", "new"):
        with built_beside(place) as building:
            (building / name).touch()
            put_in_place(building, place)
        assert [path.name for path in place.iterdir()] == [name]
    os.mkdir(tmp_path / "other")
    assert place.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "place"]


def test_a_directory_that_fails_leaves_the_older_one(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(RuntimeError), built_beside(place) as building:
        (building / "new").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    with built_beside(place) as building, pytest.raises(OSError):
        put_in_place(building / "never made", place)
    assert [path.name for path in tmp_path.iterdir()] == ["place"] and (place / "old").exists()
