"""A virtualenv as a user makes one: with a Python, and with what one line of pip brings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import warm_python
from tests.contracts.source_files import ROOT

TORCHVISION = next(
    line.partition(":=")[2].strip() for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("TORCHVISION")
)


@dataclass(frozen=True)
class Virtualenv:
    """environment: of the processes in it, which see nothing of the tests' own."""

    place: Path
    environment: Mapping[str, str]

    def install(self, *packages: str) -> None:
        self.run("pip", "install", "--quiet", *packages, timeout_s=1200)

    def packages(self) -> set[str]:
        listed = self.run("pip", "list", "--format", "freeze")
        return {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines() if "==" in line}

    def python(self, code: str, *arguments: object, directory: Path | None = None) -> str:
        return self.run("python", "-W", "error::SyntaxWarning", "-c", code, *map(str, arguments), directory=directory)

    def run(self, program: str, *arguments: str, directory: Path | None = None, timeout_s: float = 600) -> str:
        """What a program of this virtualenv prints, in a directory that is none of the project's. Fails unless it ends well."""
        done = subprocess.run(
            [str(self.place / "bin" / program), *arguments],
            cwd=directory or self.place,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def fresh(place: Path, wheels: Path, python: str | None = None) -> Virtualenv:
    """Make one. With the Python of the tests, packages get the versions of constraints.txt, as `make` installs them."""
    subprocess.run([python or warm_python.REAL, "-m", "venv", str(place)], check=True)
    return Virtualenv(place, _environment(place, wheels, constrained=python is None))


def _environment(place: Path, wheels: Path, *, constrained: bool) -> dict[str, str]:
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_CONSTRAINT")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {
        **kept,
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        **({"PIP_CONSTRAINT": str(ROOT / "constraints.txt")} if constrained else {}),
    }
