"""Where a command will write: looked at before anything is computed, so that minutes of work are not lost to a wrong path."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cic.errors import InputError
from codegen.files.atomic import check_allowed, check_writable


def check_output_file(path: str) -> None:
    """Raise InputError if no file can be written at `path`. Nothing is created, and what is there stays as it is."""
    _check_not_empty(path)
    try:
        check_writable(path)
    except (OSError, ValueError) as error:
        raise InputError(_refusal(path, error)) from error


def check_not_read(path: str, *inputs: str) -> None:
    """Raise InputError if `path` is a file that the command reads: the text of one of its arguments, or what "name=…" gives."""
    for text in inputs:
        # The first part of package.module:callable is a file, too.
        module = text.partition(":")[0].replace(".", os.sep) + ".py"
        for name in (text, text.partition("=")[2], module):
            try:
                same = os.path.samefile(name, path)
            except (OSError, ValueError):
                continue
            if same and os.path.isfile(path):
                raise InputError(f"-o {path!r} is what {text!r} is read from, and would be lost; name another file")


def check_output_directory(path: str, *, within: bool = False) -> None:
    """Raise InputError if no directory can be written at `path`, or with `within`, if nothing can be in the one there."""
    _check_not_empty(path)
    try:
        place = Path(os.path.realpath(path))
        check_allowed(place.parent, os.stat(place.parent))
        with suppress(FileNotFoundError):
            found = os.stat(path)
            if not stat.S_ISDIR(found.st_mode):
                raise InputError(f"-o {path}: this is a file; name the directory to write")
            check_allowed(place, found)
            if not within and os.path.ismount(place):
                raise InputError(f"-o {path}: this is a disk of its own, which cannot be replaced; name a directory on it")
    except (OSError, ValueError) as error:
        raise InputError(_refusal(path, error)) from error


def _check_not_empty(path: str) -> None:
    if not path:
        raise InputError("-o is empty; name what to write")


def _refusal(path: str, error: OSError | ValueError) -> str:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    at = getattr(error, "filename", None)
    where = f" ({at})" if at and str(at) != path else ""
    return f"-o {path!r} cannot be written: {reason}{where}; nothing was computed yet, name another place"
