"""What the README says is so: its quick start runs, its map is the tree, its commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cic.cli import main
from docs.file_map import PAGE, page
from tests.contracts.source_files import ROOT

README = ROOT.joinpath("README.md").read_text(encoding="utf-8")


BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S)


def quick_start() -> str:
    assert BLOCKS, "README.md has no python block"
    return BLOCKS[0]


def run_block(block: str, directory: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", block], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_quick_start_runs(tmp_path: Path) -> None:
    assert run_block(quick_start(), tmp_path)[-1] == "True"


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_other_blocks_run(block: str, tmp_path: Path) -> None:
    assert run_block(block, tmp_path)


def test_the_quick_start_is_quick() -> None:
    assert len([line for line in quick_start().splitlines() if line.strip()]) <= 15


def test_the_file_map_is_the_tree() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "docs/map.md is out of date: run `make map`"


def test_the_make_targets_exist() -> None:
    makefile = ROOT.joinpath("Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)`|^make (\w+)", README, flags=re.M)):
        assert re.search(rf"^{''.join(target)}:", makefile, flags=re.M), f"make {target} is in README.md, not in the Makefile"


def test_the_commands_exist(capsys) -> None:
    named = set(re.findall(r"^cic (\w+)", README, flags=re.M))
    assert {"machines", "profile", "compile", "decide", "emit", "show", "run"} <= named
    for command in named:
        try:
            main([command, "--help"])
        except SystemExit as stop:
            assert stop.code == 0, f"cic {command} is in README.md, but is no command"
