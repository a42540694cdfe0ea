"""The SHA-256 of a file, read in pieces. Standard library only: `hashlib.file_digest` is not in Python 3.10."""

from __future__ import annotations

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_PIECE_BYTES = 1 << 18


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of all that the file at `path` holds. Raises OSError where it cannot be read."""
    digest, piece = hashlib.sha256(), bytearray(_PIECE_BYTES)
    view = memoryview(piece)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(view):
            digest.update(view[:size])
    return digest.hexdigest()
