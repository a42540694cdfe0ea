"""Reading files that nobody vouches for: regular ones only, and never more of one than was asked for.

A named pipe or a device could keep a reader waiting for ever, or feed it without end. All refusals are an `OSError`, as those
of the file system are, so whoever calls has one thing to wrap. Standard library only; it runs on the device.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def open_regular(path: str | os.PathLike[str], largest_bytes: int) -> tuple[BinaryIO, int]:
    """Open a regular file for reading; returns it and its size, which is at most `largest_bytes`.

    Raises:
        OSError: it is missing, unreadable, no regular file or larger than that; `path` is no path at all.
    """
    if isinstance(path, int) or not isinstance(path, str | os.PathLike):
        raise OSError(errno.EINVAL, f"a path is a text or a pathlib.Path, not of type {type(path).__name__}")
    try:
        # Before it is opened: opening a device can have effects of its own.
        _check_regular(os.stat(path))
        # A pipe that took the file's place meanwhile must not keep us waiting.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (ValueError, TypeError) as error:
        raise OSError(errno.EINVAL, f"this is no path: {error}") from error
    file = os.fdopen(handle, "rb")
    try:
        found = os.fstat(handle)
        _check_regular(found)
        if found.st_size > largest_bytes:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, such a file has at most {largest_bytes}")
    except OSError:
        file.close()
        raise
    return file, found.st_size


def read_regular(path: str | os.PathLike[str], largest_bytes: int) -> bytes:
    """The content of a regular file of at most `largest_bytes`; OSError as in `open_regular`."""
    file, size = open_regular(path, largest_bytes)
    with file:
        content = file.read(size)
    if content is None or len(content) != size:
        raise OSError(errno.EIO, f"it has {size} bytes, of which {len(content or b'')} could be read")
    return content


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        kinds = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for check, name in kinds if check(found.st_mode)), "a device")
        raise OSError(errno.EINVAL, f"it is {kind}, and only regular files are read")
