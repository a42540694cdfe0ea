"""Files that torch writes, by way of memory: torch ends the whole process with C++'s `terminate` if the disk is full.

Its writer of archives closes them while an error is under way, which fails again, and an error during an error is the
end. So it writes to memory, and what it wrote is copied to the disk, where an error is an OSError.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

_HANDLES = Path("/proc/self/fd")


def write_through_memory(path: Path, save: Callable[[str], None]) -> None:
    """Let `save` write a file under the name of `path`, which goes into the archive, and put its content at `path`.

    Takes the size of the file in memory meanwhile. Where the system has no files in memory, `save` writes to the disk.
    Raises what `save` raises, and OSError.
    """
    if not hasattr(os, "memfd_create") or not _HANDLES.is_dir():
        save(str(path))
        return
    with os.fdopen(os.memfd_create("cic"), "rb") as memory:
        path.unlink(missing_ok=True)
        path.symlink_to(_HANDLES / str(memory.fileno()))
        try:
            save(str(path))
        finally:
            path.unlink()
        with path.open("xb") as file:
            shutil.copyfileobj(memory, file, 1 << 20)
