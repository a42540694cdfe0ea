"""README and the pages of docs are right: their code runs, links lead somewhere, commands exist, the map is the tree."""

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


PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"))
}


def blocks(text: str) -> list[str]:
    """The python of a page."""
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)


BLOCKS = blocks(README)
# Of other pages those that stand by themselves.
WHOLE_BLOCKS = [
    block for path in PAGES.values() for block in blocks(path.read_text(encoding="utf-8")) if block.startswith("import cic")
]


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
    printed = run_block(quick_start(), tmp_path)
    assert printed[-1] == "True"
    assert "```text\n{}\n```".format("\n".join(printed)) in README, "README.md shows another answer"


@pytest.mark.parametrize("block", [block for block in WHOLE_BLOCKS if block not in BLOCKS[:1]])
def test_other_blocks_run(block: str, tmp_path: Path) -> None:
    printed = run_block(block, tmp_path)
    assert printed and printed[-1] != "{}", "an example that chooses no codec explains nothing"


def test_the_quick_start_is_quick() -> None:
    assert len([line for line in quick_start().splitlines() if line.strip()]) <= 15


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 1200, "README.md is for newcomers: let a page of docs say more"


@pytest.mark.parametrize("page_name", PAGES)
def test_links_lead_somewhere(page_name: str) -> None:
    path = PAGES[page_name]
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+://|#", target)]
    missing = [target for target in local if not path.parent.joinpath(target).exists()]
    assert not missing, f"{page_name} links to {missing}, which are not there"


def test_pages_are_listed_in_the_readme() -> None:
    listed = re.findall(r"\]\((docs/[^)]+\.md)\)", README)
    assert {name for name in PAGES if name.startswith("docs/")} == set(listed)


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
