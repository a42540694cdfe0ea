"""Result files have one form and name commands that exist; every benchmark is run by make or said not to be, and why."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.harness.report import RESULTS, rows_on_lines

ROOT = RESULTS.parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_have_a_row_a_line_and_name_a_benchmark(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    body = json.loads(text)
    assert text == rows_on_lines(body), "write it with benchmarks.harness.report.write_json"
    command = body.get("command") or body["setting"]["command"]
    (module,) = re.findall(r"python -m benchmarks\.([\w.]+)", command)
    assert module in programs()


@pytest.mark.parametrize(
    "value",
    [{}, {"a": 1, "b": [1, 2], "c": {"d": 1}}, {"rows": [{"a": 1}, {"a": [2]}], "of": {"x": [{"b": 1}], "y": {"c": 2}}}],
)
def test_rows_on_lines_are_the_same_json(value: dict[str, object]) -> None:
    assert json.loads(rows_on_lines(value)) == value


def test_a_row_has_a_line() -> None:
    lines = rows_on_lines({"name": "x", "rows": [{"a": 1}, {"a": 2}], "of": {"x": [{"b": 1}, {"b": 2}]}}).splitlines()
    assert '{"a": 1},' in lines and '{"b": 2}' in lines and '"name": "x",' in lines


def programs() -> set[str]:
    """The modules under benchmarks/ that can be run, as they are named after `benchmarks.`."""
    found = [path for path in FOLDER.rglob("*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in found]
    return {name.removesuffix(".__main__") for name in names}


def test_make_runs_every_benchmark_or_the_readme_says_why_not() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    lists = re.findall(r"^(?:BENCHMARKS|WIRE|PAY|REGRET|ADAPTATION|TRUST) := (.*)$", makefile, re.M)
    made = {name for line in lists for name in line.split()}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    left_out = re.search(r"## Not run by `make bench`\n(.*?)\n## ", readme, re.S)
    assert left_out is not None
    named = {name for line in re.findall(r"^\| (`.*?) \|", left_out[1], re.M) for name in re.findall(r"`([\w.]+)`", line)}
    assert made | named == programs() and not made & named
    for name in made:
        assert f"`{name.partition('.')[2]}`" in readme
