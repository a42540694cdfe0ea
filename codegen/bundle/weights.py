"""How a bundle shares weights: taken out of each half as it is written, put back into all if that saved little."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from codegen.bundle.directory import Storage
from codegen.errors import CodegenError
from codegen.formats.emitter import LARGEST_FILE_BYTES, Emitter, WeightSharing, is_too_large
from codegen.manifest import WEIGHTS_FOLDER, FileRecord, HalfFiles, Manifest
from codegen.weights.shared_weights import lift, open_half, write_plain

WORTH_SHARING_BYTES = 1 << 20
"""Weights are shared without being asked for if that saves this much; plain files are simpler to handle."""


def stored(building: Path, files: HalfFiles, emitter: Emitter, storage: Storage, sizes: dict[str, int]) -> HalfFiles:
    """Take the weights out of both files of a cut unless they are to stay; `sizes` is told their digests and sizes.

    At once, so that there is never more than one plain file of each half on the disk.
    Raises CodegenError if a file that is to stay whole is too large for its runtime.
    """
    if storage == "inline" or not isinstance(emitter, WeightSharing):
        for record in (files.head, files.tail):
            if is_too_large(emitter.format, record.bytes):
                raise CodegenError(
                    f"{record.path} has {record.bytes} bytes, a file in the format {emitter.format} at most"
                    f" {LARGEST_FILE_BYTES[emitter.format]}; emit with storage='shared', or in another format"
                )
        return files
    records = {}
    for half in ("head", "tail"):
        record = files.of(half)
        records[half], found = lift(building, record, emitter.weight_spans(building / record.path))
        sizes.update(found)
    return HalfFiles(**records)


def settled(building: Path, manifest: Manifest, storage: Storage) -> Manifest:
    """Return the manifest of halves that keep their weights shared, or with "auto" are plain again if that saved little.

    With "inline" there are shared weights only where halves of an older bundle were kept; raises CodegenError if one of these
    cannot be plain.
    """
    if storage == "inline":
        if any(record.bare for record in _records(manifest)) and _has_too_large(manifest):
            raise CodegenError("a half that is kept is too large for one plain file; emit with storage='shared'")
        return _inlined(building, manifest)
    if storage == "auto" and _saved_bytes(manifest) < WORTH_SHARING_BYTES and not _has_too_large(manifest):
        return _inlined(building, manifest)
    return manifest


def _has_too_large(manifest: Manifest) -> bool:
    return any(
        is_too_large(name, record.bytes)
        for cut in manifest.cuts
        for name, files in cut.files.items()
        for record in (files.head, files.tail)
    )


def _saved_bytes(manifest: Manifest) -> int:
    """Return how much smaller the bundle is than one of plain files."""
    uses = [place.sha256 for record in _records(manifest) if record.bare for place in record.bare.weights]
    return sum(manifest.weights[sha256] for sha256 in uses) - sum(manifest.weights.values())


def _inlined(building: Path, manifest: Manifest) -> Manifest:
    """Put the plain files together again and drop the stored weights."""
    for record in _records(manifest):
        if record.bare is not None:
            write_plain(open_half(building, manifest, record), building / record.path)
            (building / record.bare.path).unlink()
    shutil.rmtree(building / WEIGHTS_FOLDER, ignore_errors=True)

    def plain(files: HalfFiles) -> HalfFiles:
        return HalfFiles(replace(files.head, bare=None), replace(files.tail, bare=None))

    cuts = [replace(cut, files={name: plain(files) for name, files in cut.files.items()}) for cut in manifest.cuts]
    return replace(manifest, cuts=tuple(cuts), weights={})


def _records(manifest: Manifest) -> Iterator[FileRecord]:
    for cut in manifest.cuts:
        for files in cut.files.values():
            yield from (files.head, files.tail)
