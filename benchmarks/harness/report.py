"""What a benchmark takes and leaves behind: its options, tables on the terminal, a .md and a .json that say how and where."""

from __future__ import annotations

import argparse
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
from codegen.files.atomic import write_whole

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
        write_json(folder / f"{self.name}.json", body)
        write_whole(folder / f"{self.name}.md", self._markdown(setting).encode())

    @property
    def kept(self) -> bool:
        """Was everything kept that was promised?"""
        return all(target.kept for target in self.targets)

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


def shared_options(doc: str | None, quick: str | None = None) -> argparse.ArgumentParser:
    """The options that benchmarks share: `--results FOLDER` and, where `quick` says what it leaves out, `--quick`."""
    shared = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared.add_argument("--results", type=Path, default=RESULTS, help="folder to write to; default: benchmarks/results")
    if quick is not None:
        shared.add_argument("--quick", action="store_true", help=quick)
    return shared


def write_json(path: Path, body: dict[str, Any]) -> None:
    """Write figures as `rows_on_lines` lays them out; the folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, rows_on_lines(body).encode())


def rows_on_lines(body: dict[str, Any]) -> str:
    """JSON with one field a line, and one row a line in a field that is a table: a list, or a dict, of lists or dicts."""
    fields = (f"{json.dumps(name)}: {_rows(value)}" for name, value in body.items())
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _rows(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(row, dict | list) for row in value):
        return "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
    if isinstance(value, dict) and any(isinstance(row, dict | list) for row in value.values()):
        return "{\n" + ",\n".join(f"{json.dumps(name)}: {_table(row)}" for name, row in value.items()) + "\n}"
    return json.dumps(value)


def _table(value: Any) -> str:
    is_table = isinstance(value, list) and any(isinstance(row, dict) for row in value)
    return _rows(value) if is_table else json.dumps(value)


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
