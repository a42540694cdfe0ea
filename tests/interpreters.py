"""Python interpreters of this machine, by version: those on the path, and those that pyenv has."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""Which run the device half."""


@cache
def interpreter(version: str) -> str | None:
    """The path of a Python of this version; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))]
    return next((path for path in found if path is not None and _runs(path)), None)


def _runs(path: str) -> bool:
    """pyenv puts a stand-in for each version on the path, also for those that are not chosen."""
    return subprocess.run([path, "-c", ""], capture_output=True).returncode == 0
