"""Files and directories that are whole or absent: built under a temporary name beside their place, then renamed.

Standard library only. Errors of the file system come as they are, as OSError; whoever calls knows what to say of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside `path` to write to, which becomes `path` when the block ends without an error."""
    target = Path(path).absolute()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # temporary files are private
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes | bytearray) -> None:
    """Write a file, on the disk itself before it gets its name: not even a power failure leaves half of it."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def built_beside(directory: Path) -> Iterator[Path]:
    """Yield an empty directory beside `directory` to build it in; it is gone when the block ends, unless renamed."""
    building = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        building.chmod(0o777 & ~_umask())  # temporary directories are private
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def put_in_place(building: Path, directory: Path) -> None:
    """Rename a finished directory to its place; an older one makes way first and comes back if that fails."""
    if not directory.exists():
        building.rename(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
    directory.rename(old / directory.name)
    try:
        building.rename(directory)
    except OSError:
        (old / directory.name).rename(directory)
        raise
    finally:
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
