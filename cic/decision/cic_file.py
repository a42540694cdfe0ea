"""The `.cic` file.

Three lines of JSON: a header (format, version, length and CRC-32 of the other two), the table (all that `decide` needs) and
the graph (ops, tensors, cuts in full; parsed only when asked for). Text, no code, nothing is ever unpickled. The checksum
finds damage, not malice. What the two documents mean is for `cic.decision.cut_table` and `cic.decision.graph_document`.
"""

from __future__ import annotations

from binascii import crc32

from cic.decision.frozen import Frozen
from cic.decision.quick_json import parse
from cic.decision.units import shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

FORMAT = "cic splitting model"
VERSION = 3
# A network of 100,000 ops takes about 40 MB.
LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_HEADER_BYTES = 4096


def names_file(value: object) -> bool:
    """Is it a text or a path that the system can take? A zero ends a path there; a lone surrogate stands for no byte."""
    if not isinstance(value, str) and not hasattr(value, "__fspath__"):
        return False
    import os

    try:
        name = str(value)
        return bool(name) and b"\0" not in os.fsencode(name)
    except ValueError:
        return False


class Lines:
    """The two documents of a file, whole by their checksums, not parsed yet.

    where: names the file in errors.
    """

    __slots__ = ("graph", "table", "where")

    def __init__(self, table: bytes, graph: bytes, where: str) -> None:
        self.table, self.graph, self.where = table, graph, where


def pack(name: str, table: Any, graph: Any) -> bytes:
    """The content of a `.cic` file that holds these documents, JSON values and nouns.

    Raises:
        ArtifactError: one of them is no JSON, or they are too large; names the model.
    """
    try:
        lines = [_dump(table), _dump(graph)]
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} cannot be written as JSON: {error}") from error
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bytes": [len(line) for line in lines],
        "crc32": [crc32(line) for line in lines],
    }
    content = b"\n".join([_dump(header), *lines, b""])
    if len(content) > LARGEST_FILE_BYTES:
        raise ArtifactError(f"{name} takes {len(content)} bytes, a splitting model has at most {LARGEST_FILE_BYTES}")
    return content


def unpack(content: bytes, where: str) -> Lines:
    """The documents in the content of a `.cic` file; `where` names it in errors.

    Raises:
        ArtifactError: damaged, foreign or of another version; says which.
    """
    if not isinstance(content, bytes):
        raise ArtifactError(f"{where} is a {type(content).__name__}; the bytes of a file are expected")
    header = _header(content, where)
    _check_size(header, len(content), where)
    return Lines(*_checked_lines(header, content, where), where)


def parsed(line: bytes, where: str, part: str) -> Any:
    """The document in a line. Raises ArtifactError naming the part of the file that is no JSON."""
    try:
        return parse(line)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: the {part} is not valid JSON ({error}); copy the file again or compile again") from error


def check_writable(path: object) -> None:
    """Raise ArtifactError unless `path` can name a file."""
    if not names_file(path):
        raise ArtifactError(f"cannot write {shown(path)}: give a path, as a text or a pathlib.Path")


def write(path: str | PathLike[str], content: bytes) -> None:
    """Write atomically: a temporary file beside it, then a rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    from codegen.files.atomic import write_whole

    try:
        write_whole(path, content)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from error


def read(path: str | PathLike[str]) -> Lines:
    """The documents in a `.cic` file.

    Raises:
        ArtifactError: missing, damaged, foreign or of another version; says which.
    """
    from codegen.files.regular_file import open_regular

    where = str(path) if names_file(path) else shown(path)
    try:
        file, size = open_regular(path, LARGEST_FILE_BYTES)
        with file:
            content = file.read(min(size, LARGEST_HEADER_BYTES))
            # Nothing is read, and no memory taken, for bytes that the header does not announce.
            _check_size(_header(content, where), size, where)
            content += file.read(size - len(content))
    except IsADirectoryError as error:
        raise ArtifactError(f"{where} is a directory; give a splitting model, a .cic file") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {where}: {error.strerror or error}") from error
    return unpack(content, where)


class _Header:
    """What the first line says: where the two others are in the file, and their sums."""

    __slots__ = ("end", "sizes", "sums")

    def __init__(self, end: int, sizes: tuple[int, int], sums: tuple[int, int]) -> None:
        self.end, self.sizes, self.sums = end, sizes, sums


def _header(content: bytes, where: str) -> _Header:
    end = content.find(b"\n", 0, LARGEST_HEADER_BYTES)
    header = parsed(content[:end], where, "header") if end > 1 and content[:1] == b"{" else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtifactError(f"{where} is not a splitting model: it does not start with a {FORMAT!r} header")
    version = header.get("version")
    if type(version) is int and 0 < version < VERSION:
        raise ArtifactError(
            f"{where} has format version {version}, of an older CIC; this one reads {VERSION}, so compile the model again"
        )
    if type(version) is not int or version != VERSION:
        raise ArtifactError(f"{where} has format version {shown(version)}, this CIC reads {VERSION}; use a matching CIC")
    return _Header(end, _two_counts(header.get("bytes"), where), _two_counts(header.get("crc32"), where))


def _check_size(header: _Header, found: int, where: str) -> None:
    expected = header.end + 1 + header.sizes[0] + 1 + header.sizes[1] + 1
    if found != expected:
        raise ArtifactError(f"{where} is damaged: {found} bytes, its header says {expected}; copy it again")


def _checked_lines(header: _Header, content: bytes, where: str) -> tuple[bytes, bytes]:
    start, middle = header.end + 1, header.end + 1 + header.sizes[0]
    lines = content[start:middle], content[middle + 1 : -1]
    for part, line, expected_sum in zip(("table", "graph"), lines, header.sums, strict=True):
        if crc32(line) != expected_sum:
            raise ArtifactError(
                f"{where} is damaged: the {part} has checksum {crc32(line)}, its header says {expected_sum}; copy it again"
            )
    return lines


def _two_counts(value: Any, where: str) -> tuple[int, int]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or any(type(count) is not int or not 0 <= count < 2**40 for count in value)
    ):
        raise ArtifactError(f"{where} is damaged: its header gives {shown(value)} where two counts belong; copy it again")
    return value[0], value[1]


def _dump(value: object) -> bytes:
    import json  # not at the start: see `cic.decision.quick_json`

    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_row).encode()


def _row(value: object) -> Any:
    if not isinstance(value, Frozen):
        raise TypeError(f"a {type(value).__name__} is no JSON")
    return value.row()
