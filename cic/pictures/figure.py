"""A figure of matplotlib and its file: which formats there are, and that it is whole or absent."""

from __future__ import annotations

from pathlib import Path

from cic.errors import InputError
from codegen.files.atomic import replacing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def new_figure(path: Path, width: float, height: float) -> Figure:
    """An empty figure of this size in inches, for a file of one of the formats.

    Raises:
        InputError: another suffix, or matplotlib is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a picture is written as {', '.join(FORMATS)}, not {path.suffix or 'without suffix'!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("a picture needs matplotlib: pip install 'cic-compiler[show]'") from error
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def write_figure(figure: Figure, path: Path) -> None:
    """Raises InputError if the file cannot be written."""
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:].lower())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
