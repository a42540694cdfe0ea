"""Lines are said always, counted steps on a terminal only, with the time left."""

from __future__ import annotations

import sys

import pytest

from cic.commands.progress_bar import shown_progress
from cic.progress import Progress

WORK = Progress("tracing"), *(Progress("cutting", at, 4) for at in (1, 2, 4)), Progress("solving"), Progress("again", 1, 2)


def said() -> None:
    with shown_progress() as tell:
        for each in WORK:
            tell(each)


def test_counted_steps_are_quiet_where_no_terminal_looks(capsys: pytest.CaptureFixture[str]) -> None:
    said()
    assert capsys.readouterr() == ("", "tracing\nsolving\n")


def test_a_terminal_sees_a_bar_with_the_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    said()
    output, errors = capsys.readouterr()
    assert output == ""
    assert "tracing" in errors
    assert "1/2" in errors, "the last bar stays"
    assert ":--" in errors or "0:00" in errors, "the time left"


def test_without_rich_lines_are_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    said()
    assert capsys.readouterr() == ("", "tracing\nsolving\n")
