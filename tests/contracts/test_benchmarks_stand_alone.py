"""Benchmarks and examples run from a copy without tests: they import nothing from there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_nothing_is_imported_from_tests(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert len(paths) > 10
    test_modules = {path.stem for path in (ROOT / "tests").glob("*.py")} | {"tests"}
    for path in paths:
        found = {name.partition(".")[0] for name in imported(path)} & test_modules
        assert not found, f"{path.relative_to(ROOT)} imports {found}"
        assert '"tests"' not in path.read_text(encoding="utf-8") or path.name == "verifier.py"


def imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names
