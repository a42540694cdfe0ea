"""Bundles whose cuts have transform codecs: the small model's, with contents put beside its halves as `write_bundle` does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from codegen.manifest import CODECS_FOLDER, codec_path, read_manifest, write_manifest


def with_contents(bundle: Path, place: Path, contents: dict[str, bytes]) -> Path:
    """A copy of a bundle at `place` in which every cut has these contents of codecs."""
    shutil.copytree(bundle, place)
    (place / CODECS_FOLDER).mkdir()
    for digest, content in contents.items():
        (place / codec_path(digest)).write_bytes(content)
    manifest = read_manifest(place)
    cuts = tuple(replace(cut, codecs=tuple(contents)) for cut in manifest.cuts)
    write_manifest(place, replace(manifest, cuts=cuts, codecs={digest: len(content) for digest, content in contents.items()}))
    return place
