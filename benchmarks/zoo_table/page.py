"""docs/zoo.md: the rows as tables, totals per family and what is promised of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.report import markdown_table

CATALOGUE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
PROMISED = {"torchvision": 0.97, "transformers": 0.95, "onnx": 0.95}
_FORMATS = {"torchscript": "TorchScript", "exported_program": "`.pt2`", "onnx": "ONNX"}
_SHORTEST_PIECE = 12  # letters of a catalogued message that must stand in a refusal, for the two to be the same

Row = Mapping[str, Any]
Family = Mapping[str, Row | None]
"""A row for each model of the family, None for those that have not been run."""


@dataclass(frozen=True)
class Page:
    """families: the rows by family; left_out: what was not tried, and why; setting: see `report.describe_setting`."""

    families: Mapping[str, Family]
    left_out: Mapping[str, str]
    setting: Mapping[str, Any]

    def write(self, path: Path) -> bool:
        """Write the page; tell whether all that is promised was kept."""
        text = "\n\n".join([self._head(), self._totals(), *self._refusals(), *map(self._table, self.families)]) + "\n"
        temporary = path.with_suffix(path.suffix + ".part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        return all(kept(name, rows) for name, rows in self.families.items())

    def _head(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.setting["versions"].items())
        return f"""# The zoo

Which real models can be split, and do the halves answer as the whole does? Written by `make zoo` (`benchmarks/zoo_table`) on
{self.setting["date"]}; {self.setting["processor"]}, one thread, {self.setting["platform"]}, Python {self.setting["python"]};
{versions}.

Each model has random weights that make it answer something (`examples/models/meaningful.py`). It is traced, compiled between a
Raspberry Pi 4 and an EPYC 7742 over the default box of conditions, saved, loaded, and **every cut of its table** is emitted.
The halves are loaded and run in processes that never imported the model's code, on random numbers, on the same in another
order and on a natural input: a photograph, a pan over it, a paragraph of Darwin as token ids with padding, a sung vowel. Each
answer is compared with the whole model's. The error is the largest over cuts, outputs and inputs, relative to the output's
largest entry; float32 may differ by 1e-4. Every model ran in a process of its own with limits of time and memory.

*cuts*: all that can be optimal, in brackets how many are true splits. *compressed*: ops after the exact rules, which over the
default box merge little (see benchmarks/README.md). *compile*: processor seconds from the traced graph to the proved table;
*trace*: from the module to the graph. Formats after the first were verified on both ends and the middle of the table."""

    def _totals(self) -> str:
        columns = ("family", "models", "verified", "refused, reason catalogued", "other failures", "wrong answers", "not run",
                   "share verified", "promised", "kept", "cuts verified", "largest error")  # fmt: skip
        rows = [self._total(name, rows) for name, rows in self.families.items()]
        left_out = "\n".join(f"* **{what}**: {why}." for what, why in self.left_out.items())
        return "## Totals\n\n" + markdown_table(columns, rows) + (f"\n\nLeft out:\n\n{left_out}" if left_out else "")

    def _total(self, name: str, rows: Family) -> tuple[str, ...]:
        ends = Counter(verdict(row) for row in rows.values())
        checks = [check for row in rows.values() for check in (row or {}).get("formats", {}).values() if "cuts" in check]
        promise = PROMISED.get(name, 0.0)
        return (
            name,
            str(len(rows)),
            *(str(ends[end]) for end in ("verified", "refused", "failed", "wrong", "not run")),
            f"{share(rows):.1%}",
            f"≥ {promise:.0%}",
            "yes" if kept(name, rows) else "**no**",
            f"{sum(check['cuts'] for check in checks):,}",
            f"{max((check['largest_relative_error'] for check in checks), default=0.0):.1e}",
        )

    def _refusals(self) -> list[str]:
        rows = [
            (f"{name}", verdict(row), row["phase"], _cell(row["error"]), _cell(catalogued(row["error"]) or "—"))
            for family in self.families.values()
            for name, row in family.items()
            if row is not None and row["status"] != "verified"
        ]
        others = [
            (f"{name} as {_FORMATS[format_name]}", "refused", "emit", _cell(check["refused"]), "—")
            for family in self.families.values()
            for name, row in family.items()
            for format_name, check in (row or {}).get("formats", {}).items()
            if "refused" in check
        ]
        if not rows and not others:
            return []
        columns = ("model", "end", "phase", "message", "in docs/errors.md as")
        return ["## Not split\n\n" + markdown_table(columns, rows + others)]

    def _table(self, family: str) -> str:
        columns = ("model", "input", "weights", "ops", "tensors", "compressed", "cuts", "trace", "compile", "largest error",
                   "verified as")  # fmt: skip
        rows = [_line(name, row) for name, row in self.families[family].items() if row is not None]
        absent = [name for name, row in self.families[family].items() if row is None]
        note = f"\n\nNot run: {', '.join(absent)}." if absent else ""
        return f"## {family}\n\n{markdown_table(columns, rows)}{note}"


def verdict(row: Row | None) -> str:
    """How a model ended: "verified", "refused" for a catalogued reason, "wrong", "failed" or "not run"."""
    if row is None:
        return "not run"
    if row["status"] == "refused" and catalogued(row["error"]) is None:
        return "failed"
    return str(row["status"])


def share(rows: Family) -> float:
    """Verified models among all of the family."""
    return sum(verdict(row) == "verified" for row in rows.values()) / max(len(rows), 1)


def kept(family: str, rows: Family) -> bool:
    """Whether enough are verified, each other one is refused for a catalogued reason, and none was not run."""
    others = all(verdict(row) in ("verified", "refused") for row in rows.values())
    return others and share(rows) >= PROMISED.get(family, 0.0)


def catalogued(error: str) -> str | None:
    """The message of docs/errors.md that a refusal is an instance of, the most telling one; None if there is none."""
    kind, _, message = error.partition(": ")
    section = CATALOGUE.read_text(encoding="utf-8").partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    fitting = [pattern for pattern in re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE) if _is_instance(message, pattern)]
    return max(fitting, key=lambda pattern: len(pattern.replace("…", "")), default=None)


def _is_instance(message: str, pattern: str) -> bool:
    pieces = [piece.replace("\\|", "|") for piece in pattern.split("…")]
    if max(map(len, pieces)) < _SHORTEST_PIECE:
        return False
    return re.fullmatch(".*".join(map(re.escape, pieces)), message.replace("`", "'"), re.DOTALL) is not None


def _line(name: str, row: Row) -> tuple[str, ...]:
    seconds = row["seconds"]
    first = next(iter(row.get("formats", {}).values()), {})
    splits = f"{row['cuts']} ({row['true_splits']})" if "cuts" in row else ""
    return (
        name,
        "; ".join(row.get("input", [])),
        f"{row['weights_bytes'] / 1e6:,.0f} MB" if "weights_bytes" in row else "",
        *(f"{row[key]:,}" if key in row else "" for key in ("ops", "tensors", "compressed_ops")),
        splits + ("" if row.get("complete", True) else ", gap"),
        *(f"{seconds[phase]['processor']:.2f} s" if phase in seconds else "" for phase in ("trace", "compile")),
        f"{first['largest_relative_error']:.1e}" if "largest_relative_error" in first else "",
        _formats(row) if row["status"] == "verified" else f"**{verdict(row)}**",
    )


def _formats(row: Row) -> str:
    told = [_FORMATS[name] for name, check in row["formats"].items() if "cuts" in check]
    if not all(check.get("informative", True) for check in row["formats"].values()):
        told.append("output shows little")
    return ", ".join(told)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")[:500]


def families_of(rows: Mapping[tuple[str, str], Row], names: Mapping[str, Sequence[str]]) -> dict[str, Family]:
    """The rows by family, in the order of the names, with None for models without a row."""
    return {family: {name: rows.get((family, name)) for name in known} for family, known in names.items()}
