"""The file of a tiered model: a line of JSON that says what it is, and one with all of it. Standard library only.

The checksum finds damage, not malice. Nothing is ever unpickled.
"""

from __future__ import annotations

from binascii import crc32

from cic.decision.cic_file import LARGEST_FILE_BYTES, LARGEST_HEADER_BYTES, names_file, parsed
from cic.decision.units import shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

FORMAT = "cic tiered model"
VERSION = 1
_BEGINNING = b'{"format":"' + FORMAT.encode() + b'"'


def tiered_content(document: Any) -> bytes:
    """The content of the file of a tiered model that is this, as JSON values."""
    import json  # not at the start: see `cic.decision.quick_json`

    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    header = {"format": FORMAT, "version": VERSION, "bytes": len(body), "crc32": crc32(body)}
    return b"\n".join([json.dumps(header, separators=(",", ":")).encode(), body, b""])


def read_tiered(path: str | PathLike[str]) -> tuple[Any, str]:
    """The JSON values in such a file, and the name of the file for errors.

    Raises:
        ArtifactError: missing, damaged, foreign or of another version; says which.
    """
    from codegen.files.regular_file import open_regular

    where = str(path) if names_file(path) else shown(path)
    try:
        file, size = open_regular(path, LARGEST_FILE_BYTES)
        with file:
            content = file.read(size)
    except OSError as error:
        raise ArtifactError(f"cannot read {where}: {error.strerror or error}") from error
    return tiered_document(content, where), where


def is_tiered(path: str | PathLike[str]) -> bool:
    """Does this file begin as that of a tiered model? False where it cannot be read."""
    from codegen.files.regular_file import open_regular

    try:
        file, _ = open_regular(path, LARGEST_FILE_BYTES)
        with file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False


def tiered_document(content: bytes, where: str) -> Any:
    """The JSON values in the content of such a file; `where` names it in errors. Raises ArtifactError as `read_tiered`."""
    end = content.find(b"\n", 0, LARGEST_HEADER_BYTES)
    header = parsed(content[:end], where, "header") if end > 1 and content.startswith(_BEGINNING) else None
    if not isinstance(header, dict):
        raise ArtifactError(f"{where} is not a tiered model: it does not start with a {FORMAT!r} header")
    if header.get("version") != VERSION:
        raise ArtifactError(
            f"{where} has format version {shown(header.get('version'))}, this CIC reads {VERSION}; compile the model again"
        )
    body = content[end + 1 : -1]
    if header.get("bytes") != len(body) or header.get("crc32") != crc32(body):
        raise ArtifactError(
            f"{where} is damaged: {len(body)} bytes with checksum {crc32(body)}, its header says"
            f" {shown((header.get('bytes'), header.get('crc32')))}; copy it again"
        )
    return parsed(body, where, "table")
