"""The `.cic` file.

Four lines of JSON: a header (format, version, length and CRC-32 of the other three), the table (all that `decide` needs),
the graph (ops, tensors, cuts in full; parsed only when asked for) and the stored codecs (read only when asked for). Text, no
code, nothing is ever unpickled. The checksum finds damage, not malice. The header also says when the file was made and how long
that took, so that the other lines are the same bytes whenever the same is compiled. What the documents mean is for
`cic.decision.cut_table`, `cic.decision.graph_document` and `cic.decision.stored_codecs`.
"""

from __future__ import annotations

from binascii import crc32

from cic.decision.frozen import Frozen
from cic.decision.quick_json import parse
from cic.decision.units import shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

FORMAT = "cic splitting model"
# Version 8 brought limits, open batches and fronts for throughput: whoever does not know them would decide without them.
VERSION = 8
# A network of 100,000 ops takes about 40 MB.
LARGEST_FILE_BYTES = 256 * 2**20
# Of the stored codecs alone: as base64 they take a third more than they have.
LARGEST_STORED_BYTES = 96 * 2**20
PARTS = ("table", "graph", "store of codecs")
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
    """The documents of a file, whole by their checksums, not parsed yet.

    stored: a function that gives the stored codecs, read and checked when it is called. made: date and timings, as
    `cic.decision.provenance` writes them. where: names the file in errors.
    """

    __slots__ = ("graph", "made", "stored", "table", "where")

    def __init__(self, table: bytes, graph: bytes, stored: Callable[[], bytes], made: str, where: str) -> None:
        self.table, self.graph, self.stored, self.made, self.where = table, graph, stored, made, where


def pack(name: str, table: Any, graph: Any, stored: Any, made: str) -> bytes:
    """The content of a `.cic` file that holds these documents, JSON values and nouns. made: date and timings.

    Raises:
        ArtifactError: one of them is no JSON, or they are too large; names the model.
    """
    try:
        lines = [_dump(table), _dump(graph), _dump(stored)]
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} cannot be written as JSON: {error}") from error
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bytes": [len(line) for line in lines],
        "crc32": [crc32(line) for line in lines],
        "made": made,
        "made_crc32": crc32(made.encode()),
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
    stored = content[header.begin(2) : -1]
    return _checked_lines(header, content, lambda: stored, where)


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
    """The documents in a `.cic` file. Stored codecs, unless they are small, stay there until they are asked for.

    Raises:
        ArtifactError: missing, damaged, foreign or of another version; says which.
    """
    from codegen.files.regular_file import open_regular

    where = str(path) if names_file(path) else shown(path)
    try:
        file, size = open_regular(path, LARGEST_FILE_BYTES)
        with file:
            content = file.read(min(size, LARGEST_HEADER_BYTES))
            header = _header(content, where)
            # Nothing is read, and no memory taken, for bytes that the header does not announce.
            _check_size(header, size, where)
            small = header.sizes[2] <= LARGEST_HEADER_BYTES
            content += file.read(max(0, (size if small else header.begin(2)) - len(content)))
    except IsADirectoryError as error:
        raise ArtifactError(f"{where} is a directory; give a splitting model, a .cic file") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {where}: {error.strerror or error}") from error
    if small:
        return unpack(content, where)
    from os.path import abspath

    place, head = abspath(path), content[: header.begin(0)]
    return _checked_lines(header, content, lambda: _stored_line(place, header, head, where), where)


class _Header:
    """What the first line says: the sizes of the others in the file, and their sums. end: its own size without its end."""

    __slots__ = ("end", "made", "sizes", "sums")

    def __init__(self, end: int, sizes: tuple[int, ...], sums: tuple[int, ...], made: str) -> None:
        self.end, self.sizes, self.sums, self.made = end, sizes, sums, made

    def begin(self, part: int) -> int:
        """At which byte of the file a part begins; of one more than there are, how many bytes the file has."""
        return self.end + 1 + sum(self.sizes[:part]) + part


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
    sizes = _counts(header.get("bytes"), where)
    if sizes[2] > LARGEST_STORED_BYTES:
        raise ArtifactError(
            f"{where} announces {sizes[2]} bytes of stored codecs, a splitting model has at most {LARGEST_STORED_BYTES}; "
            "copy it again"
        )
    made = header.get("made")
    if (
        type(made) is not str
        or not made.isascii()
        or not made.isprintable()
        or crc32(made.encode()) != header.get("made_crc32")
    ):
        raise ArtifactError(
            f"{where} is damaged: 'made' is {shown(made)} with checksum {shown(header.get('made_crc32'))}; copy it again"
        )
    return _Header(end, sizes, _counts(header.get("crc32"), where), made)


def _check_size(header: _Header, found: int, where: str) -> None:
    if found != (expected := header.begin(len(PARTS))):
        raise ArtifactError(f"{where} is damaged: {found} bytes, its header says {expected}; copy it again")


def _checked_lines(header: _Header, content: bytes, stored: Callable[[], bytes], where: str) -> Lines:
    def checked(part: int, line: bytes) -> bytes:
        if crc32(line) != header.sums[part]:
            raise ArtifactError(
                f"{where} is damaged: the {PARTS[part]} has checksum {crc32(line)}, its header says {header.sums[part]}; "
                "copy it again"
            )
        return line

    table, graph = (content[header.begin(part) : header.begin(part + 1) - 1] for part in (0, 1))
    return Lines(checked(0, table), checked(1, graph), lambda: checked(2, stored()), header.made, where)


def _stored_line(place: str, header: _Header, head: bytes, where: str) -> bytes:
    """The line of stored codecs of a file whose header was read before. head: that, as it stood there."""
    from codegen.files.regular_file import open_regular

    try:
        file, size = open_regular(place, LARGEST_FILE_BYTES)
        with file:
            if file.read(len(head)) != head:
                raise ArtifactError(f"{where} was replaced after it was loaded; load it again")
            _check_size(header, size, where)
            file.seek(header.begin(2))
            return file.read(header.sizes[2])
    except OSError as error:
        raise ArtifactError(f"cannot read the stored codecs of {where}: {error.strerror or error}; load it again") from error


def _counts(value: Any, where: str) -> tuple[int, ...]:
    """One for each part."""
    if (
        not isinstance(value, list)
        or len(value) != len(PARTS)
        or any(type(count) is not int or not 0 <= count < 2**40 for count in value)
    ):
        raise ArtifactError(
            f"{where} is damaged: its header gives {shown(value)} where {len(PARTS)} counts belong; copy it again"
        )
    return tuple(value)


def _dump(value: object) -> bytes:
    import json  # not at the start: see `cic.decision.quick_json`

    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_row).encode()


def _row(value: object) -> Any:
    if not isinstance(value, Frozen):
        raise TypeError(f"a {type(value).__name__} is no JSON")
    return value.row()
