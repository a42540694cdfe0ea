"""The directory of a bundle: what may be a cut's name in it, what is known of its files, and when it may be changed.

Whatever a bundle is made from, these are the same. What is not a bundle is never replaced, nor is one in which there is
anything that is not its own, at whatever depth; a bundle of another model, or of other weights, only if that is asked for.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from codegen.errors import CodegenError
from codegen.files.atomic import check_allowed
from codegen.files.digest import file_sha256
from codegen.manifest import (
    CODECS_FOLDER,
    FILE_NAME,
    WEIGHTS_FOLDER,
    CutRecord,
    FileRecord,
    Manifest,
    read_files,
    read_manifest,
)

Storage = Literal["auto", "shared", "inline"]

# What an emitted file can be called, so that no manifest can make a user's file one of the bundle's.
_OWN = re.compile(
    rf"[A-Za-z0-9_-][A-Za-z0-9._-]*/(head|tail)\.[a-z0-9]+(\.bare)?|{WEIGHTS_FOLDER}/[0-9a-f]{{64}}\.bin"
    rf"|{CODECS_FOLDER}/[0-9a-f]{{64}}"
)
REPLACE = "emit with replace=True (--replace) to put the new one in its place, or choose another place"


@dataclass(frozen=True)
class CutPlan:
    """A cut to be written: `device_nodes` are node names in the graph, `device_ops` the names people know them by.

    codecs: SHA-256 of each content that codecs of its crossing tensors are made from.
    """

    id: str
    device_nodes: frozenset[str]
    device_ops: tuple[str, ...]
    codecs: tuple[str, ...] = ()


def check_request(directory: Path, plans: Sequence[CutPlan], storage: str) -> None:
    """Raise CodegenError unless there are cuts and their ids can name directories, OSError unless all can be written."""
    if not plans:
        raise CodegenError("there is no cut to write")
    if storage not in ("auto", "shared", "inline"):
        raise CodegenError(f"weights are stored as 'auto', 'shared' or 'inline', not as {storage!r}")
    if len({plan.id for plan in plans}) != len(plans):
        raise CodegenError(f"cut ids must differ: {', '.join(plan.id for plan in plans)}")
    for plan in plans:
        check_cut_id(plan.id)
    if not directory.parent.is_dir():
        raise CodegenError(f"the directory {directory.parent} does not exist")
    check_allowed(directory.parent, os.stat(directory.parent))
    with suppress(FileNotFoundError):
        found = os.stat(directory)
        if not stat.S_ISDIR(found.st_mode):
            raise CodegenError(f"{directory} exists and is not a directory; choose another place")
        check_allowed(directory, found)
        if os.path.ismount(directory):
            raise CodegenError(f"{directory} is a disk of its own, which cannot be replaced; name a directory on it")


def check_cut_id(cut_id: str) -> None:
    """Raise CodegenError unless a cut's id can name a directory."""
    reserved = FILE_NAME, WEIGHTS_FOLDER, CODECS_FOLDER
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", cut_id) or cut_id in reserved:
        raise CodegenError(
            f"the cut id {cut_id!r} names a directory: use letters, digits, '.', '_' and '-', but not {', '.join(reserved)}"
        )


def place_of_bundle(directory: str | Path) -> Path:
    """Return where a bundle goes, links followed."""
    return Path(os.path.realpath(directory))


def check_outside(place: Path, directory: Path) -> None:
    """Raise CodegenError if something is to be written into a bundle that is no part of it, or over one of its files."""
    if Path(os.path.realpath(place)).is_relative_to(os.path.realpath(directory)):
        raise CodegenError(f"{place} is in the emitted model {directory}, which holds its own files only; choose another place")


def file_record(directory: Path, path: Path) -> FileRecord:
    """Return path, size and digest of a file of the bundle in `directory`."""
    return FileRecord(path.relative_to(directory).as_posix(), path.stat().st_size, file_sha256(path))


def standing_bundle(directory: Path, like: Manifest, plans: Sequence[CutPlan | CutRecord], *, replace: bool) -> Manifest | None:
    """Return the bundle at `directory` that `like` is to be added to; None if the place is free or is to be freed.

    like: the manifest of what is to be written, be it without cuts; plans: its cuts.
    Raises CodegenError if that would lose something, or is of another model, other weights or another way to call it.
    """
    if not directory.exists() or not any(directory.iterdir()):
        return None
    check_own(directory)
    if replace:
        return None
    try:
        old = read_manifest(directory)
    except CodegenError as error:
        raise CodegenError(f"{directory} holds an emitted model that cannot be added to ({error}); {REPLACE}") from error
    for what, there, here in (
        ("model", old.model_digest, like.model_digest),
        ("training of the model", old.weights_digest, like.weights_digest),
    ):
        if there != here:
            raise CodegenError(
                f"{directory} holds another {what}, with the digest {there[:12]}, to be emitted is {here[:12]}; {REPLACE}"
            )
    for field in ("inputs", "input_structure", "output_structure"):
        if _as_json(getattr(old, field)) != _as_json(getattr(like, field)):
            raise CodegenError(f"{directory} was emitted for another call of this model, {field} differ; {REPLACE}")
    for package, version in like.versions.items():
        if old.versions.get(package, version) != version:
            raise CodegenError(
                f"{directory} was written with {package} {old.versions[package]}, here it is {version}; {REPLACE}"
            )
    known = {cut.id: cut for cut in old.cuts}
    for cut in plans:
        if cut.id in known and known[cut.id].device_ops != cut.device_ops:
            raise CodegenError(
                f"{directory} holds a cut {cut.id} with {len(known[cut.id].device_ops)} ops on the device, that to be emitted"
                f" has {len(cut.device_ops)}, or others: it is from another compilation; {REPLACE}"
            )
    return old


def check_own(directory: Path) -> None:
    """Raise CodegenError, naming what is in the way, unless a directory is empty or holds nothing but its bundle."""
    if not any(directory.iterdir()):
        return
    if not (directory / FILE_NAME).is_file():
        raise CodegenError(f"{directory} is not empty and not an emitted model, so it is not replaced; choose another place")
    own = {FILE_NAME, *(path for path in read_files(directory) if _OWN.fullmatch(path))}
    folders = {path.rpartition("/")[0] for path in own}
    for entry in _entries(directory):
        name = Path(entry.path).relative_to(directory).as_posix()
        expected = name in folders if entry.is_dir(follow_symlinks=False) else name in own
        if entry.is_symlink() or not expected:
            raise CodegenError(f"{directory} holds {name}, which is not part of the emitted model; move it away first")


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    """All that is in a directory, sorted, what is in folders after these; links are not followed."""
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path))


def _as_json(value: Any) -> Any:
    """A value as it comes back from a manifest, in which tuples are lists."""
    return json.loads(json.dumps(value, default=asdict))
