"""Whatever is read of a bundle is of one emission, though it may be replaced by another at any moment.

The manifest is read first, and everything else must match its digests; so what does not fit is found, and then, if the
directory is another one by now, the reading begins anew. Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from codegen.errors import CodegenError, as_codegen_error
from codegen.manifest import FILE_NAME, Manifest, read_manifest

_TRIES = 50
_PAUSE_S = 0.001

Result = TypeVar("Result")


def from_one_bundle(directory: Path, read: Callable[[Path, Manifest], Result]) -> Result:
    """Return what `read` makes of a bundle and its manifest; it is called again if it fails and the bundle was replaced.

    Raises CodegenError, as `read` does, and for what the file system refuses.
    """
    for remaining in reversed(range(_TRIES)):
        seen = _emission(directory)
        try:
            with as_codegen_error(f"cannot read {directory}"):
                return read(directory, read_manifest(directory))
        except CodegenError:
            if _emission(directory) == seen or not remaining:
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _emission(directory: Path) -> tuple[tuple[int, ...], ...]:
    """Which directory and which manifest are there now; empty where there is none."""
    try:
        found = (directory.stat(), (directory / FILE_NAME).stat())
    except OSError:
        return ()
    return tuple((one.st_dev, one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for one in found)
