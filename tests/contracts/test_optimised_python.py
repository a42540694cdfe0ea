"""`python -OO` leaves out docstrings and asserts: nothing that runs needs either."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cic.cli import COMMANDS
from tests.contracts.source_files import PRODUCT

pytestmark = pytest.mark.real_interpreter

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for package in PRODUCT for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_a_docstring_and_no_assert_does_anything(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Attribute) and node.attr == "__doc__"), f"line {node.lineno} reads a docstring"
        if isinstance(node, ast.Assert):
            inner = list(ast.walk(node.test))
            calls = [each for each in inner if isinstance(each, ast.Call)]
            assert all(isinstance(call.func, ast.Name) and call.func.id == "isinstance" for call in calls), node.lineno
            assert not any(isinstance(each, ast.NamedExpr | ast.Await) for each in inner), node.lineno


def test_commands_say_in_their_help_what_their_files_say() -> None:
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        assert (command.__doc__ or "").splitlines()[0] == f"{name}: {command.SUMMARY}."


def test_the_command_runs_under_full_optimisation() -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "cic", "machines"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "raspberry-pi-4" in done.stdout, done.stderr
