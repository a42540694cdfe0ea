"""The packages that come with `cic`, and files of a user that Python finds before them. Standard library only."""

from __future__ import annotations

import os
import sys

from cic.errors import InputError

OWN_PACKAGES = ("codegen", "compress", "mincut")


def check_own(*names: str) -> None:
    """Raise InputError if one of these packages would be, or already was, imported from another place than `cic`.

    Without this, what is missing there is told in place of what is there too much: "no module named 'codegen.errors'".
    """
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name in names:
        found = _origin(name)
        # Found nowhere, it may still come from an importer that names no files; the import itself will tell.
        if found is not None and not _is_package_at(found, os.path.join(root, name)):
            raise InputError(
                f"{found} takes the place of the package {name} of CIC, which is in {root}: rename it, or start Python where"
                " it is not found first (python -P leaves out the working directory)"
            )


def _origin(name: str) -> str | None:
    """The file that `name` was, or would be, imported from."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None)
    for finder in sys.meta_path:
        if (spec := finder.find_spec(name, None)) is not None:
            return spec.origin
    return None


def _is_package_at(file: str, directory: str) -> bool:
    folder, name = os.path.split(file)
    return name.startswith("__init__.") and (folder == directory or os.path.realpath(folder) == os.path.realpath(directory))
