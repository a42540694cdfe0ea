"""Contents that codecs of crossing tensors are made from, in a bundle: `codecs/<SHA-256>`, each once however many cuts use it.

Which codec a content is of, and how it is read, is the business of whoever emits: here it is bytes with a digest. Like every
file of a bundle it is listed in the manifest with its size, and nothing is handed out that does not match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.manifest import CODECS_FOLDER, LARGEST_CODEC_BYTES, CutRecord, FileRecord, Manifest, codec_path
from codegen.weights.shared_weights import read_checked


def check_codecs(plans: Sequence[CutPlan], contents: Mapping[str, bytes]) -> None:
    """Raise CodegenError unless each content that plans name is there, and is the one of its digest."""
    for plan in plans:
        for sha256 in plan.codecs:
            if sha256 not in contents:
                raise CodegenError(f"cut {plan.id} needs the content of a codec with SHA-256 {sha256}, which is not given")
            found, size = hashlib.sha256(contents[sha256]).hexdigest(), len(contents[sha256])
            if found != sha256 or size >= LARGEST_CODEC_BYTES:
                raise CodegenError(
                    f"cut {plan.id} needs the content of a codec with SHA-256 {sha256} and below {LARGEST_CODEC_BYTES} bytes,"
                    f" given is one with {found} of {size} bytes"
                )


def write_codecs(building: Path, plans: Sequence[CutPlan], contents: Mapping[str, bytes]) -> dict[str, int]:
    """Write the contents that plans name into a bundle; returns their sizes by digest."""
    used = {sha256: contents[sha256] for plan in plans for sha256 in plan.codecs}
    if used:
        (building / CODECS_FOLDER).mkdir()
    for sha256, content in used.items():
        (building / codec_path(sha256)).write_bytes(content)
    return {sha256: len(content) for sha256, content in used.items()}


def codec_records(manifest: Manifest, cut: CutRecord) -> tuple[FileRecord, ...]:
    """Return the files of a bundle with the contents that a cut needs."""
    return tuple(FileRecord(codec_path(sha256), manifest.codecs[sha256], sha256) for sha256 in cut.codecs)


def read_codecs(directory: Path, manifest: Manifest, cut: CutRecord) -> dict[str, bytes]:
    """Return the contents that a cut needs by their digest; CodegenError if one is missing or not as recorded."""
    return {record.sha256: bytes(read_checked(directory, record)) for record in codec_records(manifest, cut)}
