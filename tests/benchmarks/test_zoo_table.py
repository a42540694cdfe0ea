"""The zoo: however a model ends there is a row, a run can be resumed, and the page counts what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.zoo_table.page import Page, catalogued, kept, share, verdict

ROOT = Path(__file__).resolve().parents[2]
SETTING = {"date": "2026-01-01", "processor": "p", "platform": "l", "python": "3", "versions": {"torch": "2"}}

Run = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the tiny family, in an interpreter of its own that forks; returns the last row of each model and how many lines."""
    folder = tmp_path_factory.mktemp("zoo")

    def run(*arguments: str) -> dict[str, dict[str, Any]]:
        files = ["--rows", str(folder / "rows.jsonl"), "--page", str(folder / "zoo.md")]
        command = [sys.executable, "-m", "benchmarks.zoo_table", "--families", "tiny=tests.benchmarks.tiny_zoo", *files]
        ended = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode in (0, 1) and "Traceback" not in ended.stderr, ended.stderr
        lines = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
        page = (folder / "zoo.md").read_text(encoding="utf-8")
        return {line["model"]: {**line, "lines": len(lines), "page": page} for line in lines}

    return run


def test_every_model_has_a_row_and_a_run_can_be_resumed(run: Run) -> None:
    rows = run("--only", "*r*", "--only", "wide", "--jobs", "2")
    assert {name: row["status"] for name, row in rows.items()} == {
        "crashes": "failed",
        "narrow": "verified",
        "wide": "verified",
        "refused": "refused",
        "broken": "failed",
    }
    assert "SIGSEGV" in rows["crashes"]["error"] and rows["crashes"]["phase"] == "trace"
    assert "this model cannot be built" in rows["broken"]["error"]
    assert "draws random numbers" in rows["refused"]["error"]
    check = rows["narrow"]["formats"]["torchscript"]
    assert check["cuts"] == rows["narrow"]["cuts"] >= 2 and check["input_sets"] == 3 and check["informative"]
    assert check["largest_relative_error"] < 1e-4
    assert "Not run: hangs." in rows["narrow"]["page"]

    rows = run("--seconds", "2", "--resume")
    assert rows["hangs"]["status"] == "failed" and "killed after 2 s" in rows["hangs"]["error"]
    assert rows["hangs"]["lines"] == 6, "no model was run twice"
    assert "| tiny | 6 | 2 | 1 | 3 | 0 | 0 | 33.3% |" in rows["hangs"]["page"]


def _row(status: str = "verified", error: str = "") -> dict[str, Any]:
    check = {"cuts": 2, "input_sets": 3, "largest_relative_error": 1e-6, "informative": True}
    return {"status": status, "error": error, "phase": "trace", "seconds": {}, "formats": {"torchscript": check}}


REFUSED = _row(
    "refused",
    "TraceError: relu at model.py:7 draws random numbers, so two runs of the model differ and a split cannot be compared with"
    " the whole; put the model in eval mode or make the noise an input",
)


def test_only_catalogued_refusals_count_as_such() -> None:
    assert "draws random numbers" in str(catalogued(REFUSED["error"]))
    assert verdict(REFUSED) == "refused"
    assert verdict(_row("refused", "TraceError: something nobody has ever written down")) == "failed"
    assert catalogued("EmitError: " + REFUSED["error"].partition(": ")[2]) is None, "another class of errors"


def test_a_promise_is_not_kept_by_leaving_models_out(tmp_path: Path) -> None:
    enough = {**{str(index): _row() for index in range(97)}, "a": REFUSED, "b": REFUSED, "c": REFUSED}
    assert kept("torchvision", enough) and share(enough) == 0.97
    for other in (None, _row("wrong"), _row("failed", "RuntimeError: no")):
        assert not kept("torchvision", {**enough, "a": other})
        assert not Page({"torchvision": {**enough, "a": other}}, {}, SETTING).write(tmp_path / "page.md")
    assert not kept("torchvision", {**enough, "0": REFUSED})
    assert Page({"torchvision": enough}, {"others": "they are others"}, SETTING).write(tmp_path / "page.md")
    assert "* **others**: they are others." in (tmp_path / "page.md").read_text(encoding="utf-8")
