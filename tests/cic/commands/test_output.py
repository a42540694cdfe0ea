"""A place where nothing can be written is refused first, before a model is built or an op is measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cic.cli import main
from cic.commands.output import check_not_read, check_output_directory, check_output_file
from cic.errors import CicError


def places(folder: Path) -> dict[str, str]:
    """Places that no file can be written to, and what the refusal says of each."""
    (folder / "directory").mkdir()
    (folder / "file").write_text("kept")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "dangling").symlink_to(folder / "nowhere" / "file")
    return {
        "nowhere/out": "no such file or directory",
        "file/out": "not a directory",
        "directory": "is a directory",
        ".": "is a directory",
        "": "empty",
        "dangling": "no such file or directory",
        "loop": "too many levels",
        "a\0b": "null",
        "n" * 300: "too long",
        "/proc/nothing/new": "no such file or directory",
    }


def test_places_that_cannot_be_written_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places_said = places(tmp_path)
    for place, reason in places_said.items():
        with pytest.raises(CicError, match=reason):
            check_output_file(place)
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(CicError, match="this is a file"):
        check_output_directory("file")
    for place in ("", "a\0b", "loop", "dangling", "file/out", "nowhere/out"):
        with pytest.raises(CicError, match=places_said[place]):
            check_output_directory(place)


def test_places_that_can_be_written_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    for place in ("new", "file", "link", "pipe", "/dev/null"):
        check_output_file(place)
    check_output_directory("new")
    check_output_directory(".")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before and (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("read", ["model.onnx", "x=model.onnx", "model:Network", "link", "./model.onnx"])
def test_what_is_read_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "model.py"):
        (tmp_path / name).write_text("kept")
    (tmp_path / "link").symlink_to("model.onnx")
    with pytest.raises(CicError, match="would be lost"):
        check_not_read("model.py" if ":" in read else "model.onnx", "1x3x8x8", read)
    check_not_read("new.onnx", read)
    check_not_read("/dev/null", "/dev/null", "a\0b")


def test_permissions_are_respected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(CicError, match="permission denied"):
        check_output_file(str(tmp_path / "file"))
    tmp_path.chmod(0o555)
    try:
        for check in (check_output_file, check_output_directory):
            with pytest.raises(CicError, match=r"permission denied.*nothing was computed yet"):
                check(str(tmp_path / "new"))
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    "command",
    [
        ("profile", "no_such_module:Model", "--input", "1x3"),
        ("compile", "no_such_module:Model", "--input", "1x3", "--device", "no-board", "--server", "no-server"),
        ("export", "no_such_module.cic", "--format", "c"),
        ("export", "no_such_module.split", "--format", "triton"),
    ],
)
def test_the_place_is_looked_at_before_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Neither the model nor a machine exists: whoever looked at these first would complain of them."""
    assert main([*command, "-o", str(tmp_path / "nowhere" / "out")]) != 0
    said = capsys.readouterr()
    assert "cannot be written" in said.err and "no_such_module" not in said.err and "tracing" not in said.err


def test_a_disk_of_its_own_is_written_within_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path)
    with pytest.raises(CicError, match="a disk of its own"):
        check_output_directory(str(tmp_path))
    check_output_directory(str(tmp_path), within=True)
    check_output_directory(str(tmp_path / "m.split"))
