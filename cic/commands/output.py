"""Where a command will write: looked at before anything is computed, so that minutes of work are not lost to a wrong path."""

from __future__ import annotations

import os
from pathlib import Path

from cic.errors import CicError
from codegen.atomic import check_allowed, check_writable


def check_output_file(path: str) -> None:
    """Raise CicError if no file can be written at `path`. Nothing is created, and what is there stays as it is."""
    _check_not_empty(path)
    try:
        check_writable(path)
    except (OSError, ValueError) as error:
        raise CicError(_refusal(path, error)) from error


def check_output_directory(path: str) -> None:
    """The same for a directory to write; what may be replaced there is for whoever writes it to say."""
    _check_not_empty(path)
    place = Path(os.path.realpath(path))
    try:
        check_allowed(place.parent, os.stat(place.parent))
        if place.exists() and not place.is_dir():
            raise CicError(f"-o {path}: this is a file; name the directory to write")
    except (OSError, ValueError) as error:
        raise CicError(_refusal(path, error)) from error


def _check_not_empty(path: str) -> None:
    if not path:
        raise CicError("-o is empty; name what to write")


def _refusal(path: str, error: OSError | ValueError) -> str:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    at = getattr(error, "filename", None)
    where = f" ({at})" if at and str(at) != path else ""
    return f"-o {path!r} cannot be written: {reason}{where}; nothing was computed yet, name another place"
