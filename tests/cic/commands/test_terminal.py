"""Sentences on a narrow terminal keep their words whole."""

from __future__ import annotations

import pytest

from cic.commands.terminal import print_text, room

TEXT = "At 506 kbit/s the split server-only+transform-0.03 is 1.58 times as fast as the better side alone."


def test_words_stay_whole_where_lines_are_short(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_text(TEXT)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 40
    assert " ".join(lines) == TEXT


def test_in_a_pipe_a_sentence_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert room() is None
    print_text(TEXT)
    assert capsys.readouterr().out == f"{TEXT}\n"
