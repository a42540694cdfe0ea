"""Temporary files and directories that nothing outlives: each has a name of ours and a lock, which its process holds.

A process that is killed cannot tidy up, but the system takes its locks from it. So whoever writes next to such a name
removes it if nobody holds its lock, and leaves alone what a running neighbour is at. Where there are no locks (other
systems, some network disks) nothing is removed that is not one's own.

Standard library only. Errors of the file system come as they are, as OSError.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

WAS = "was"
"""The folder of a temporary directory in which what stood at the place lies while the new takes it; it comes back if the new
does not, whatever ends the process."""

_NAME = re.compile(r"\.cic-[0-9a-f]{16}")
_PRIVATE = 0o700
_TRIES = 3


@contextmanager
def temporary_file(directory: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield an empty file in `directory`, which is gone when the block ends, unless renamed; `mode` is under the umask."""

    def make(path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    with _claimed(directory, make) as path:
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def temporary_directory(parent: Path | None = None) -> Iterator[Path]:
    """Yield an empty private directory in `parent`, or where temporary files belong; it is gone when the block ends."""

    def make(path: Path) -> int:
        path.mkdir(_PRIVATE)
        return os.open(path, os.O_RDONLY)

    with _claimed(Path(tempfile.gettempdir()) if parent is None else parent, make) as path:
        try:
            yield path
        finally:
            put_back(path)
            _remove(path)


def wait_for(handle: int) -> None:
    """Lock a file or directory that is open, as soon as nobody else has it locked, where the system knows locks."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX)


def clear(directory: Path) -> None:
    """Remove what processes that are gone have left in `directory`; what they had moved out of the way comes back."""
    if fcntl is None:
        return
    with suppress(OSError):
        for name in os.listdir(directory):
            if _NAME.fullmatch(name):
                with suppress(OSError):
                    _clear_one(directory / name)


def _clear_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            path.unlink()
            return
        put_back(path)
        _remove(path)
    finally:
        os.close(handle)


@contextmanager
def _claimed(directory: Path, make: Callable[[Path], int]) -> Iterator[Path]:
    """Yield the path of something new under lock. Between its making and its lock a neighbour may take it for a leftover."""
    clear(directory)
    while True:
        path = directory / f".cic-{secrets.token_hex(8)}"
        try:
            handle = make(path)
        except FileNotFoundError:
            if not directory.is_dir():
                raise
            continue  # taken for a leftover before it was open
        try:
            if _lock(handle) and _is(path, handle):
                yield path
                return
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Tell whether nobody else has the lock; where there are no locks nobody has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def put_back(directory: Path) -> None:
    """Let what has made way for something that never came return to its place."""
    with suppress(FileNotFoundError):
        for name in os.listdir(directory / WAS):
            if not os.path.lexists(directory.parent / name):
                (directory / WAS / name).rename(directory.parent / name)


def _remove(directory: Path) -> None:
    """Remove a directory, more than once if some process that is about to end still writes into it."""
    for _ in range(_TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
