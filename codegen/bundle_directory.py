"""The directory of a bundle: what may be a cut's name in it, what is known of its files, and when it may be replaced.

Whatever a bundle is made from, these are the same; a directory that is not a bundle is never replaced, nor is a bundle
with files in it that are not its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codegen.errors import CodegenError
from codegen.manifest import FILE_NAME, WEIGHTS_FOLDER, FileRecord, read_entries

Weights = Literal["auto", "shared", "inline"]


@dataclass(frozen=True)
class CutPlan:
    """A cut to be written: `device_nodes` are node names in the graph, `device_ops` the names people know them by."""

    id: str
    device_nodes: frozenset[str]
    device_ops: tuple[str, ...]


def check_request(directory: Path, plans: Sequence[CutPlan], weights: str) -> None:
    """Raise CodegenError unless there are cuts, their ids can name directories, and `directory` may be written."""
    if not plans:
        raise CodegenError("there is no cut to write")
    if weights not in ("auto", "shared", "inline"):
        raise CodegenError(f"weights are 'auto', 'shared' or 'inline', not {weights!r}")
    if len({plan.id for plan in plans}) != len(plans):
        raise CodegenError(f"cut ids must differ: {', '.join(plan.id for plan in plans)}")
    for plan in plans:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", plan.id) or plan.id in (FILE_NAME, WEIGHTS_FOLDER):
            raise CodegenError(
                f"the cut id {plan.id!r} names a directory: use letters, digits, '.', '_' and '-', but not"
                f" {FILE_NAME!r} or {WEIGHTS_FOLDER!r}"
            )
    if not directory.parent.is_dir():
        raise CodegenError(f"the directory {directory.parent} does not exist")
    _check_replaceable(directory)


def file_record(directory: Path, path: Path) -> FileRecord:
    """Return path, size and digest of a file of the bundle in `directory`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(path.relative_to(directory).as_posix(), path.stat().st_size, digest)


def _check_replaceable(directory: Path) -> None:
    """Raise unless the place is free or holds nothing but an older bundle."""
    if not directory.exists() and not directory.is_symlink():
        return
    if directory.is_symlink() or not directory.is_dir():
        raise CodegenError(f"{directory} exists and is not a directory; choose another place")
    entries = {entry.name for entry in directory.iterdir()}
    if not entries:
        return
    if FILE_NAME not in entries:
        raise CodegenError(f"{directory} is not empty and not an emitted model, so it is not replaced; choose another place")
    for name in sorted(entries - read_entries(directory)):
        raise CodegenError(f"{directory} holds {name}, which is not part of the emitted model; move it away first")
