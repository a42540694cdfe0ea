"""The command `cic report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.cli import main
from tests.cic.report.made_run import made_run, write_run
from tests.cic.report.reading import tree_of, words_of


def test_a_page_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = write_run(tmp_path / "run.jsonl", made_run(50))
    assert main(["report", str(records), "-o", str(tmp_path / "run.html"), "--title", "A <day> at the gate"]) == 0
    assert "50 inferences, median latency" in capsys.readouterr().out
    root = tree_of((tmp_path / "run.html").read_text(encoding="utf-8"))
    assert next(root.iter("h1")).text == "A <day> at the gate" and "50 inferences from" in words_of(root)


def test_a_cut_off_line_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = write_run(tmp_path / "run.jsonl", made_run(5))
    records.write_text(records.read_text()[:-5])
    assert main(["report", str(records), "-o", str(tmp_path / "run.html")]) == 0
    assert "the last line was cut off" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "output", "message"),
    [
        ("nonsense\n", "run.html", "run.jsonl, line 1"),
        ("", "run.html", "holds no records"),
        (None, "run.html", "cannot be read"),
        ("", "absent/run.html", "cannot be written"),
        ("", "run.jsonl", "would be lost"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    content: str | None, output: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "run.jsonl").write_text(content)
    assert main(["report", str(tmp_path / "run.jsonl"), "-o", str(tmp_path / output)]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "run.html").exists()
