"""Where a command will write: looked at before anything is computed, so that minutes of work are not lost to a wrong path."""

from __future__ import annotations

import os
from pathlib import Path

from cic.errors import CicError


def check_output_file(path: str) -> None:
    """Raise CicError if no file can be written at `path`. Nothing is created, and what is there stays as it is."""
    target = _checked_place(path)
    if target.is_dir():
        raise CicError(f"-o {path}: this is a directory; name the file to write")


def check_output_directory(path: str) -> None:
    """The same for a directory to write, which may exist."""
    target = _checked_place(path)
    if target.exists() and not target.is_dir():
        raise CicError(f"-o {path}: this is a file; name the directory to write")


def _checked_place(path: str) -> Path:
    """Where a path leads once symbolic links are followed; CicError unless this process may write there."""
    if not path:
        raise CicError("-o is empty; name what to write")
    try:
        target = Path(path).resolve()
        there, folder_there = target.exists(), target.parent.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise CicError(f"-o {path!r} cannot be looked at: {error}") from error
    if not folder_there:
        raise CicError(f"-o {path}: there is no directory {target.parent}; make it first")
    if there and not os.access(target, os.W_OK):
        raise CicError(f"-o {path}: it exists and may not be written; give another name or change its permissions")
    # What is no regular file, such as a device, is written where it is; everything else is built beside its place.
    built_beside = not there or target.is_file() or target.is_dir()
    if built_beside and not os.access(target.parent, os.W_OK | os.X_OK):
        raise CicError(
            f"-o {path}: nothing may be written in {target.parent}; give another directory or change its permissions"
        )
    return target
