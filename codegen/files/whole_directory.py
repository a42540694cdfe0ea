"""Directories that are whole or absent: built in a temporary one beside their place, then renamed.

An older directory changes places with the new one in a single step of the system, so there is always one of the two.
Where the system cannot do that, the older one makes way first; if the process is killed at this very moment, it comes
back when something is next written beside it (`codegen.files.leftovers`).

Standard library only. Errors of the file system come as they are, as OSError.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codegen.files.atomic import check_allowed, keep_access
from codegen.files.leftovers import WAS, put_back, temporary_directory, wait_for

_HERE, _EXCHANGE = -100, 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextmanager
def built_beside(directory: Path) -> Iterator[Path]:
    """Yield an empty directory beside `directory` to build it in; it is gone when the block ends, unless renamed."""
    check_allowed(directory.parent, os.stat(directory.parent))
    with temporary_directory(directory.parent) as workspace:
        building = workspace / directory.name
        building.mkdir()
        yield building


def put_in_place(building: Path, directory: Path, check: Callable[[Path], None] = lambda old: None) -> None:
    """Rename a finished directory to its place; an older one goes with the temporary directory around `building`.

    check: is told where the older one is once nobody finds it at its place any more; if it raises, that one comes back.
    """
    try:
        old = os.stat(directory)
    except FileNotFoundError:
        building.rename(directory)
        return
    keep_access(building, old)
    if _exchanged(building, directory):
        try:
            check(building)
        except BaseException:
            _exchanged(building, directory)
            raise
        return
    aside = building.parent / WAS / directory.name
    aside.parent.mkdir(exist_ok=True)
    try:
        directory.rename(aside)  # a signal may come with the last instruction of this
        check(aside)
        building.rename(directory)
    except BaseException:
        put_back(building.parent)
        raise


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Let one process at a time, of those that ask here, change what stands at `directory`, if anything does."""
    while True:
        try:
            handle = os.open(directory, os.O_RDONLY)
        except FileNotFoundError:
            yield
            return
        try:
            with suppress(OSError):  # a disk without locks
                wait_for(handle)
            if directory.exists() and os.path.samestat(os.fstat(handle), directory.stat()):
                yield
                return
        finally:
            os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two directories change places; False if the system cannot do that in one step."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
