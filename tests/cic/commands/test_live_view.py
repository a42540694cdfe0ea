"""Inferences as they come, in a pipe and on a terminal."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from cic.commands.live_view import Seen, shown_records
from tests.cic.report.made_run import made_run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_for_each_inference_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    records = made_run(5)
    with shown_records() as show:
        for record in records:
            show(record)
            line = capsys.readouterr().out
            assert line.count("\n") == 1 and record.cut_id in line and line.rstrip().endswith(record.outcome)
        show(replace(records[0], outcome="fallback: two\nlines\x1b[2J"))
        line = capsys.readouterr().out
        assert line.count("\n") == 1 and "\x1b" not in line


def test_a_terminal_gets_a_table_of_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with shown_records() as show:
        for number, record in enumerate(made_run(30)):
            show(replace(record, cut_id=f"cut-[{number}]", outcome="remote", why="the [b] best"))
    written = sys.stdout.getvalue()  # type: ignore[attr-defined]
    last = written[written.rindex("30 inferences (30 remote)") :]
    assert all(f"cut-[{number}]" in last for number in range(18, 30)) and "cut-[17]" not in last
    assert "the [b] best" in last


def test_a_terminal_without_rich_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with shown_records() as show:
        show(made_run(1)[0])
    assert sys.stdout.getvalue().count("\n") == 1  # type: ignore[attr-defined]


def test_the_figures_count_every_inference() -> None:
    seen = Seen()
    assert seen.heading == "waiting for the first inference"
    for record in made_run(400):
        seen.add(record)
    counts = [int(word) for word in seen.heading.replace("(", " ").replace(",", " ").split() if word.isdigit()]
    assert counts[0] == 400 == sum(counts[1:4])
