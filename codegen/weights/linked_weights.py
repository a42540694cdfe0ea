"""Weights that several bundles have are one file on the disk: each bundle names it, and the file system counts the names.

The files of weights are called by their SHA-256 (`codegen.weights.shared_weights`), so equal names have equal bytes. Bundles
stay whole by themselves: each can be copied, served or removed without the others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from codegen.files.leftovers import temporary_directory
from codegen.manifest import FileRecord, read_manifest
from codegen.weights.shared_weights import check_file, weight_path


def link_weights(bundles: Sequence[Path]) -> int:
    """Let equal weights of bundles that lie beside each other be one file, and return how many bytes that saves.

    Weights stay files of their own where the file system knows no links. Raises CodegenError if a bundle or a weight of it is
    damaged, OSError for what the file system refuses; all bundles stay as good as they were.
    """
    holder: dict[str, Path] = {}
    saved = 0
    with temporary_directory(bundles[0].parent) as scratch:
        for bundle in bundles:
            for sha256, size in read_manifest(bundle).weights.items():
                other = holder.setdefault(sha256, bundle)
                record = FileRecord(weight_path(sha256), size, sha256)
                if other is bundle or os.path.samefile(other / record.path, bundle / record.path):
                    continue
                check_file(bundle, record)
                if not _linked(check_file(other, record), bundle / record.path, scratch / sha256):
                    return saved
                saved += size
    return saved


def _linked(known: Path, path: Path, temporary: Path) -> bool:
    """Put another name of a file in the place of an equal one, in one step; False where there are no links."""
    try:
        os.link(known, temporary)
    except OSError:
        return False
    temporary.replace(path)
    return True
