"""Records of a session read back from its file, line by line, after the older one that it grew from. Standard library only."""

from __future__ import annotations

from pathlib import Path

from cic.errors import InputError
from cic.session.record import older_file, record_of
from codegen.files.regular_file import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from cic.session.record import Record

_LARGEST_BYTES = 1 << 32
_LONGEST_LINE = 1 << 20


def read_records(path: str | Path) -> tuple[list[Record], bool]:
    """The records of a file, in the order of its lines, and whether an unfinished one follows them, which is left out.

    Raises:
        InputError: it cannot be read, holds no record, or a line is none; names the file and the line.
    """
    records, unfinished = _records_of(path)
    if (older := older_file(path)).is_file():
        records = [*_records_of(older)[0], *records]
    if not records:
        raise InputError(f"{path} holds no records; name a file that a session with records=… wrote")
    return records, unfinished


def _records_of(path: str | Path) -> tuple[list[Record], bool]:
    try:
        file, _ = open_regular(path, _LARGEST_BYTES)
        with file:
            return _read(file, path)
    except OSError as error:
        raise InputError(f"{path}: records cannot be read: {error.strerror or error}") from error


def _read(file: BinaryIO, path: str | Path) -> tuple[list[Record], bool]:
    """The records, and whether an unfinished one follows them."""
    records: list[Record] = []
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        try:
            records.append(record_of(line))
        except InputError as error:
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                return records, True
            raise InputError(f"{path}, line {number}: {error}") from error
    return records, False
