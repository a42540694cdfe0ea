"""What a killed process left is removed by the next one; what a running one is at, and what is not ours, stays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from codegen.files.leftovers import clear, temporary_directory, temporary_file

# Standard library only, so this costs little.
HOLD = """
import sys, time
from pathlib import Path
from codegen.files.leftovers import temporary_directory, temporary_file
with temporary_directory(Path(sys.argv[1])) as folder, temporary_file(Path(sys.argv[1])):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").touch()
    print("there", flush=True)
    time.sleep(60)
"""


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.real_interpreter
def test_a_neighbours_are_left_alone_until_it_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        assert len(names(tmp_path)) == 2
        clear(tmp_path)
        assert len(names(tmp_path)) == 2
        neighbour.kill()
    with temporary_file(tmp_path) as mine:
        assert names(tmp_path) == [mine.name]
    assert names(tmp_path) == []


def test_ones_own_are_left_alone_too(tmp_path: Path) -> None:
    with temporary_directory(tmp_path) as one, temporary_directory(tmp_path) as other:
        assert names(tmp_path) == sorted([one.name, other.name])
    assert names(tmp_path) == []


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "mine").mkdir(parents=True)
    place = tmp_path / "place"
    place.mkdir()
    for name in (".cic-backup", ".cic-", f".cic-{'0' * 15}", f".cic-{'0' * 17}", f"x.cic-{'0' * 16}"):
        (place / name).mkdir()
    (place / f".cic-{'1' * 16}").symlink_to(outside)
    before = names(place)
    clear(place)
    assert names(place) == before and names(outside) == ["mine"]
    clear(tmp_path / "absent")


def test_everything_else_is_among_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_directory() as folder:
        assert folder.parent == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", None)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    with pytest.raises(OSError, match="temporary directory"), temporary_directory():
        raise AssertionError("there is none")
