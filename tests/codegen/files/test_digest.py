"""The digest of a file is that of its bytes, whatever its size."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from codegen.files.digest import _PIECE_BYTES, file_sha256


@pytest.mark.parametrize("size", [0, 1, _PIECE_BYTES - 1, _PIECE_BYTES, 2 * _PIECE_BYTES + 7])
def test_a_file_has_the_digest_of_its_bytes(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(size)))
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
