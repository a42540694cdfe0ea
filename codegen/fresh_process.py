"""Fresh Python processes of our own: they find the same packages as this one, and nothing in the user's working directory.

A user's file `codegen.py` or `torch.py` in that directory would else be imported in place of the package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Python 3.10 has no -P, which leaves the working directory out.
_WITHOUT_P = "import sys; del sys.path[0]; import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


def fresh_command(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a module of ours, as `python -m` does."""
    if sys.version_info >= (3, 11):
        return [sys.executable, "-P", "-m", module, *arguments]
    return [sys.executable, "-c", _WITHOUT_P, module, *arguments]


def fresh_environment(threads: int) -> dict[str, str]:
    """Return the environment for it: this process's own, with our packages found first and `threads` threads for torch."""
    package_root = str(Path(__file__).resolve().parents[1])
    search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": search_path, "OMP_NUM_THREADS": str(threads)}
