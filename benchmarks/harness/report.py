"""What a benchmark leaves behind: a table on the terminal, and a .md and a .json that say how and where it was measured."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cic.cost.host import describe_host

RESULTS = Path(__file__).resolve().parents[1] / "results"
PACKAGES = ("torch", "torchvision", "numpy", "numba", "networkx", "scipy", "igraph", "PyMaxflow", "pseudoflow")


@dataclass(frozen=True)
class Section:
    """One table: rows of cells as text, and what to read from them."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A promise and what was measured."""

    promise: str
    measured: str
    kept: bool


@dataclass(frozen=True)
class Report:
    """name: of the files under benchmarks/results; figures: everything measured, in plain JSON values."""

    name: str
    headline: str
    sections: list[Section]
    targets: list[Target]
    figures: dict[str, Any]
    notes: tuple[str, ...] = ()
    pictures: tuple[str, ...] = field(default=())

    def publish(self, folder: Path = RESULTS) -> None:
        """Print, and write both files, each under a temporary name first."""
        folder.mkdir(parents=True, exist_ok=True)
        console = Console(width=None if sys.stdout.isatty() else 200)
        for section in self.sections:
            console.print(_rich_table(section))
            for note in section.notes:
                console.print(note, highlight=False)
        for target in self.targets:
            console.print(f"{'kept  ' if target.kept else 'MISSED'} {target.promise}: {target.measured}", highlight=False)
        setting = describe_setting()
        body = {"headline": self.headline, **setting, "targets": [vars(target) for target in self.targets], **self.figures}
        _write(folder / f"{self.name}.json", json.dumps(body, indent=1) + "\n")
        _write(folder / f"{self.name}.md", self._markdown(setting))

    def _markdown(self, setting: dict[str, Any]) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in setting["versions"].items())
        parts = [
            f"# {self.headline}",
            f"Written by `{setting['command']}` on {setting['date']}; {setting['processor']}, {setting['cores']} cores, "
            f"{setting['platform']}, Python {setting['python']}; {versions}.",
        ]
        parts += list(self.notes)
        if self.targets:
            rows = [(target.promise, target.measured, "yes" if target.kept else "**no**") for target in self.targets]
            parts.append("## Promised and measured\n\n" + markdown_table(("promised", "measured", "kept"), rows))
        for section in self.sections:
            parts.append(f"## {section.title}\n\n" + markdown_table(section.columns, section.rows))
            parts += list(section.notes)
        parts += [f"![{picture}]({picture})" for picture in self.pictures]
        return "\n\n".join(parts) + "\n"


def describe_setting(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The command and the machine."""
    host = describe_host()
    module = getattr(sys.modules["__main__"], "__spec__", None)
    command = ["python", *(["-m", module.name] if module else [Path(sys.argv[0]).name]), *sys.argv[1:]]
    return {
        "command": " ".join(command),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": host.processor,
        "cores": host.cores,
        "platform": host.platform,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
    }


def show_time(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def show_ratio(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×"


def markdown_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rich_table(section: Section) -> Table:
    table = Table(title=section.title)
    for index, column in enumerate(section.columns):
        table.add_column(column, justify="right" if index else "left")
    for row in section.rows:
        table.add_row(*row)
    return table


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
