"""Files that are whole or absent: written under a temporary name beside their place, then renamed.

A link is followed to the file it means. What is no regular file, such as a device, a pipe or a terminal, is written to
and stays what it is. A file or a directory that its owner has made read-only is left alone, also by root.

Standard library only. Errors of the file system come as they are, as OSError; whoever calls knows what to say of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codegen.files.leftovers import temporary_directory, temporary_file


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file to write to, which becomes the file at `path` when the block ends without an error."""
    target = place_of(path)
    if target is None:
        with temporary_directory() as scratch:
            yield scratch / "content"
            _write_through(scratch / "content", path)
        return
    old = _status(target)
    with temporary_file(target.parent, 0o666 if old is None else 0o600) as temporary:
        yield temporary
        if old is not None:
            keep_access(temporary, old)
        try:
            temporary.replace(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _write_through(temporary, target)  # a file that is mounted by itself, as containers do


def write_whole(path: str | os.PathLike[str], content: bytes | bytearray) -> None:
    """Write a file, on the disk itself before it gets its name: not even a power failure leaves half of it."""
    if place_of(path) is None:
        with open(path, "wb") as through:
            through.write(content)
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that writing a file to `path` would meet, as far as can be told without writing."""
    place_of(path)


def place_of(path: str | os.PathLike[str]) -> Path | None:
    """Return where the regular file at `path` is or will be, links followed; None if something else stands there.

    Raises OSError, naming the path, if it may not be written: a directory, a whole disk, or what is read-only.
    """
    place = Path(os.path.realpath(path))
    found = _status(path)
    if found is not None:
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if stat.S_ISBLK(found.st_mode):
            raise OSError(errno.EINVAL, "this is a disk, and what is on it would be lost", str(path))
        check_allowed(path, found)
        # The file of a process's output may have another name by now, or none.
        if not stat.S_ISREG(found.st_mode) or not (there := _status(place)) or not os.path.samestat(found, there):
            return None
    check_allowed(place.parent, os.stat(place.parent))
    return place


def check_allowed(path: str | os.PathLike[str], status: os.stat_result) -> None:
    """Raise OSError unless the file or directory may be written by this user, and has not been made read-only."""
    bits = stat.S_IWUSR if hasattr(os, "geteuid") and status.st_uid == os.geteuid() else 0o222
    if not os.access(path, os.W_OK) or not status.st_mode & bits:
        read_only_disk = hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only_disk else errno.EACCES
        raise OSError(number, os.strerror(number), str(path))


def keep_access(new: Path, old: os.stat_result) -> None:
    """Give a file or directory the permissions of what it replaces, and as far as possible the owner."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(new, old.st_uid, old.st_gid)
    new.chmod(stat.S_IMODE(old.st_mode))


def _write_through(source: Path, target: str | os.PathLike[str]) -> None:
    with source.open("rb") as content, open(target, "wb") as through:
        shutil.copyfileobj(content, through)


def _status(path: str | os.PathLike[str]) -> os.stat_result | None:
    """What stands at `path`, links followed; None if nothing does."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
