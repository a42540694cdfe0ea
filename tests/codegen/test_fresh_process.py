"""Fresh processes run a module of ours with its arguments, and see no file of the working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codegen.fresh_process import fresh_command, fresh_environment

pytestmark = pytest.mark.real_interpreter


@pytest.mark.parametrize("version", [sys.version_info[:2], (3, 10)])
def test_a_module_runs_with_its_arguments(version: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python -m` runs it, also on a Python that has no -P."""
    for name in ("json", "runpy", "codegen"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the working directory was imported')")
    (tmp_path / "given.json").write_text('{"a":   1}')
    monkeypatch.setattr(sys, "version_info", version)
    command, environment = fresh_command("json.tool", ["given.json", "--compact"]), fresh_environment(3)
    assert ("-P" in command) == (version >= (3, 11)) and environment["OMP_NUM_THREADS"] == "3"
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ('{"a":1}\n', "", 0)


def test_our_packages_are_found_first(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import codegen; print(codegen.__file__)"],
        env=fresh_environment(1), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == Path(__file__).resolve().parents[2] / "codegen" / "__init__.py"
