"""Files of records: whole, cut off, damaged, and of a device that was started anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cic.errors import InputError
from cic.report.run_records import read_run
from cic.session.record import line_of
from tests.cic.report.made_run import made_run, write_run


def test_records_come_back_in_the_order_of_their_start(tmp_path: Path) -> None:
    records = made_run(30)
    run = read_run(write_run(tmp_path / "run.jsonl", [*records[10:], *records[:10]]))
    assert run.records == tuple(records) and run.name == "run.jsonl" and not run.unfinished
    assert run.times_s == pytest.approx([record.started_s - records[0].started_s for record in records])
    assert {record.kind for record in run.answered} <= {"remote", "local"}


@pytest.mark.parametrize("kept", [1, 0.5, -2])
def test_a_last_line_that_was_cut_off_is_left_out_and_said(kept: float, tmp_path: Path) -> None:
    records = made_run(5)
    path = write_run(tmp_path / "run.jsonl", records[:4])
    last = line_of(records[4])
    path.write_text(path.read_text() + last[: int(kept if abs(kept) >= 1 else len(last) * kept)])
    run = read_run(path)
    assert run.records == tuple(records[:4]) and run.unfinished


def test_a_last_line_without_its_end_is_whole(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.jsonl", made_run(3))
    path.write_text(path.read_text().removesuffix("\n"))
    run = read_run(path)
    assert len(run.records) == 3 and not run.unfinished


@pytest.mark.parametrize("damage", ["", "nonsense", "[]", '{"version":1}', "\x00", "x" * (1 << 20)])
def test_a_damaged_line_is_named_with_its_file(damage: str, tmp_path: Path) -> None:
    lines = [line_of(record) for record in made_run(4)]
    path = tmp_path / "run.jsonl"
    path.write_text("".join([*lines[:2], damage + "\n", *lines[2:]]))
    with pytest.raises(InputError, match=r"run\.jsonl, line 3: "):
        read_run(path)


def test_a_line_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("[" * (3 << 20))
    with pytest.raises(InputError, match=r"run\.jsonl, line 1: "):
        read_run(tmp_path / "run.jsonl")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "cut.jsonl").write_bytes(b'{"version":1')
    for name in ("pipe", "absent.jsonl", "", "empty.jsonl", "cut.jsonl"):
        with pytest.raises(InputError, match=name or "directory"):
            read_run(tmp_path / name)


def test_after_a_new_start_of_the_device_time_goes_on_by_the_wall_clock(tmp_path: Path) -> None:
    before = [replace(record, started_s=90_000.0 + number) for number, record in enumerate(made_run(3))]
    wall_time_s = before[-1].wall_time_s + 60
    after = [replace(record, started_s=20.0 + number, wall_time_s=wall_time_s) for number, record in enumerate(made_run(2))]
    run = read_run(write_run(tmp_path / "run.jsonl", [*before, *after]))
    assert run.times_s == pytest.approx([0, 1, 2, 62, 63])


def test_a_wall_clock_that_is_set_back_does_not_turn_time_back(tmp_path: Path) -> None:
    records = made_run(4)
    records[2:] = [replace(record, wall_time_s=5.0) for record in records[2:]]
    run = read_run(write_run(tmp_path / "run.jsonl", records))
    assert run.records == tuple(records)


def test_the_older_file_is_read_first(tmp_path: Path) -> None:
    lines = [line_of(record).encode() for record in made_run(20)]
    (tmp_path / "run.jsonl.1").write_bytes(b"".join(lines[:12]))
    (tmp_path / "run.jsonl").write_bytes(b"".join(lines[12:]))
    (tmp_path / "whole.jsonl").write_bytes(b"".join(lines))
    run, whole = read_run(tmp_path / "run.jsonl"), read_run(tmp_path / "whole.jsonl")
    assert (run.records, run.times_s) == (whole.records, whole.times_s)
