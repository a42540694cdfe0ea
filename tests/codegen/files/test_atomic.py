"""A file is written whole or stays as it was, and whatever else stands at its name keeps being what it is."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from codegen.files.atomic import check_writable, replacing, write_whole


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_with_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_whole(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert names(tmp_path) == ["file", "other"]


def test_a_file_that_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    for mode in (0o600, 0o640, 0o664):
        (tmp_path / "file").touch()
        (tmp_path / "file").chmod(mode)
        write_whole(tmp_path / "file", b"content")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_relative_path_is_one_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_name_of_any_length_will_do(tmp_path: Path) -> None:
    write_whole(tmp_path / ("x" * 255), b"content")
    assert names(tmp_path) == ["x" * 255]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half of the ne")
        raise RuntimeError
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "round").symlink_to("round")
    for path in (tmp_path / "absent" / "file", tmp_path / "taken", tmp_path / "round", tmp_path / "taken" / "deeper" / "file"):
        for write in (check_writable, lambda path: write_whole(path, b"content")):
            with pytest.raises(OSError) as caught:
                write(path)
            assert caught.value.filename
    assert names(tmp_path) == ["round", "taken"]


def test_what_was_made_read_only_stays_as_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    kept.chmod(0o444)
    (tmp_path / "link").symlink_to(kept)
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "inside").write_bytes(b"inside")
    closed.chmod(0o555)
    for path in (kept, tmp_path / "link", closed / "new", closed / "inside"):
        for write in (check_writable, lambda path: write_whole(path, b"content")):
            with pytest.raises(PermissionError):
                write(path)
    assert kept.read_bytes() == b"kept" and names(closed) == ["inside"]
    closed.chmod(0o755)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "file").write_bytes(b"old")
    (tmp_path / "near").symlink_to("shelf/file")
    (tmp_path / "far").symlink_to(tmp_path / "near")
    (tmp_path / "first").symlink_to(tmp_path / "shelf" / "made by writing")
    for link, place in (("far", "file"), ("first", "made by writing")):
        write_whole(tmp_path / link, link.encode())
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / "shelf" / place).read_bytes() == link.encode()
    assert names(tmp_path) == ["far", "first", "near", "shelf"]
    assert names(tmp_path / "shelf") == ["file", "made by writing"]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path, by_name: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    heard: list[bytes] = []
    listener = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    listener.start()
    check_writable(pipe)
    if by_name:
        with replacing(tmp_path / "link") as temporary:
            temporary.write_bytes(b"content")
    else:
        write_whole(pipe, b"content")
    listener.join(10)
    assert heard == [b"content"] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["link", "pipe"]


def test_a_device_is_written_to_and_stays_a_device() -> None:
    for _ in range(2):
        write_whole("/dev/null", b"content")
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="No space left"):
        write_whole("/dev/full", b"content")


def test_the_output_of_a_process_is_written_to_even_without_a_name(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+b") as output:
        (tmp_path / "output").unlink()
        write_whole(f"/dev/fd/{output.fileno()}", b"content")
        assert output.read() == b"content"
    assert names(tmp_path) == []


def test_a_file_that_is_mounted_by_itself_is_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(source), None, str(target))

    (tmp_path / "file").write_bytes(b"something longer")
    monkeypatch.setattr(Path, "replace", busy)
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]
