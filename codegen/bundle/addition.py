"""A finished bundle gets to its place: as the first one there, instead of an older one, or with what the older one has.

Cuts and formats that were emitted before stay, their files checked and, where the disk can do that, not even copied. What
was emitted anew comes in place of the same cut in the same format.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace as changed
from pathlib import Path

from codegen.bundle.codecs import codec_records
from codegen.bundle.directory import REPLACE, Storage, check_own, standing_bundle
from codegen.bundle.weights import settled, stored
from codegen.errors import CodegenError
from codegen.files.whole_directory import held, put_in_place
from codegen.formats.emitter import emitter_of
from codegen.manifest import CutRecord, FileRecord, HalfFiles, Manifest, write_manifest
from codegen.weights.shared_weights import check_file, weight_path

_TRIES = 5


def put_bundle(building: Path, manifest: Manifest, directory: Path, *, storage: Storage, replace: bool) -> Manifest:
    """Put the finished bundle in `building` at `directory`, and return the manifest it has there.

    storage: how weights of the result are stored, see `codegen.bundle.bundle.write_bundle`. replace: an older bundle goes
    as a whole. Raises CodegenError if something would be lost, if a file to be kept is damaged, or OSError; then what was there
    stays.
    """
    for remaining in reversed(range(_TRIES)):
        with held(directory):
            # What was there when the work began may have been changed by another process.
            old = standing_bundle(directory, manifest, manifest.cuts, replace=replace)
            whole = manifest if old is None else _joined(building, manifest, directory, old, storage)
            if old is not None:
                write_manifest(building, whole)
            try:
                put_in_place(building, directory, check_own if directory.exists() else lambda old: None)
            except OSError as error:
                # Another process came first, where nothing was.
                if old is None and error.errno in (errno.ENOTEMPTY, errno.EEXIST) and remaining:
                    continue
                raise
            return whole
    raise AssertionError("the last try returns or raises")


def _joined(building: Path, new: Manifest, directory: Path, old: Manifest, storage: Storage) -> Manifest:
    """Bring what the older bundle has besides into `building`, and return the manifest of all."""
    sizes, codecs = dict(new.weights), dict(new.codecs)
    emitted = {cut.id: cut for cut in new.cuts}
    cuts = [_with_kept(building, emitted.pop(cut.id, None), cut, directory, old, sizes) for cut in old.cuts]
    for cut in old.cuts:
        for record in codec_records(old, cut):
            _bring(building, directory, record)
            codecs[record.sha256] = record.bytes
    versions = {**old.versions, **new.versions}
    manifest = changed(new, versions=versions, cuts=(*cuts, *emitted.values()), weights=sizes, codecs=codecs)
    if storage != "inline":
        # As if all had been emitted together: whether sharing pays is a question of all halves.
        apart = [
            changed(cut, files={name: _lifted(building, files, name, storage, sizes) for name, files in cut.files.items()})
            for cut in manifest.cuts
        ]
        manifest = changed(manifest, cuts=tuple(apart), weights=sizes)
    return settled(building, manifest, storage)


def _with_kept(
    building: Path, new: CutRecord | None, old: CutRecord, directory: Path, manifest: Manifest, sizes: dict[str, int]
) -> CutRecord:
    """Return a cut of the older bundle with what was emitted of it anew, the files that are kept linked or copied."""
    if new is not None and any(
        getattr(new, name) != getattr(old, name) for name in ("crossing", "kept", "returned", "outputs")
    ):
        raise CodegenError(
            f"the cut {old.id} in {directory} has other tensors at its border; emit with replace=True (--replace)"
        )
    for name in [name for name in old.files if new is None or name not in new.files]:
        for record in _files_of(old.files[name], manifest):
            _bring(building, directory, record)
        for half in (old.files[name].head, old.files[name].tail):
            used = [] if half.bare is None else [place.sha256 for place in half.bare.weights]
            sizes.update({sha256: manifest.weights[sha256] for sha256 in used})
    if new is None:
        return old
    kept = [check for check in old.verification if check.format not in new.files]
    # Whoever has the splitting model that the older one was emitted from may still ask for its codecs.
    codecs = tuple(dict.fromkeys((*old.codecs, *new.codecs)))
    return changed(new, files={**old.files, **new.files}, verification=(*kept, *new.verification), codecs=codecs)


def _files_of(files: HalfFiles, manifest: Manifest) -> Iterator[FileRecord]:
    for record in (files.head, files.tail):
        if record.bare is None:
            yield record
            continue
        yield FileRecord(record.bare.path, record.bare.bytes, record.bare.sha256)
        for place in record.bare.weights:
            yield FileRecord(weight_path(place.sha256), manifest.weights[place.sha256], place.sha256)


def _bring(building: Path, directory: Path, record: FileRecord) -> None:
    target = building / record.path
    if target.exists():  # a weight that others have brought
        return
    try:
        source = check_file(directory, record)
    except CodegenError as error:
        raise CodegenError(f"{directory} cannot be added to, what it has besides is damaged ({error}); {REPLACE}") from error
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a disk without links, or a file of another user
        shutil.copyfile(source, target)


def _lifted(building: Path, files: HalfFiles, format_name: str, storage: Storage, sizes: dict[str, int]) -> HalfFiles:
    """Files whose weights are stored apart, as those of a bundle are until it is settled."""
    if files.head.bare is not None or files.tail.bare is not None:
        return files
    return stored(building, files, emitter_of(format_name), storage, sizes)
