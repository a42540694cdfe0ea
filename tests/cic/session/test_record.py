"""Records as lines of JSON, and the file they are appended to."""

from __future__ import annotations

import json
import math
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cic.decision.conditions import Conditions
from cic.errors import CicWarning, InputError
from cic.session.record import Record, RecordFile, Terms, line_of, older_file, record_of

RECORD = Record(
    request_id="7f-1",
    started_s=12.5,
    wall_time_s=1.8e9,
    cut_id="cut-3",
    codecs=("linear4",),
    why="the fastest at 20 Mbit/s",
    conditions=Conditions(20e6, 40e6, 0.01, 1.0, 2.0),
    predicted=Terms(0.02, 0.03, 0.004, 0.001, 0.01, 0.065),
    device_only_s=0.2,
    server_only_s=None,
    measured=Terms(0.021, None, None, None, None, 0.3),
    upload_bytes=75_000,
    download_bytes=4_000,
    outcome="fallback: the server did not answer within 200 ms",
    deadline_s=0.25,
    upper_s=0.09,
)


def lines_of(path: Path) -> list[Record]:
    return [record_of(line) for line in path.read_bytes().splitlines()]


def test_a_record_comes_back_from_its_line_as_it_was() -> None:
    line = line_of(RECORD)
    assert line.count("\n") == 1 and line.endswith("\n")
    assert record_of(line) == RECORD
    assert (RECORD.kind, RECORD.reason) == ("fallback", "the server did not answer within 200 ms")
    remote = replace(RECORD, outcome="remote", codecs=(), server_only_s=0.1, deadline_s=None, why="two\nlines “and” signs")
    assert record_of(line_of(remote)) == remote
    assert (remote.kind, remote.reason) == ("remote", "")


def test_fields_of_a_later_version_are_ignored() -> None:
    assert record_of(json.dumps({**json.loads(line_of(RECORD)), "mood": "good"})) == RECORD


def test_records_of_older_versions_promise_nothing() -> None:
    document = json.loads(line_of(RECORD))
    del document["upper_s"]
    assert record_of(json.dumps(document)) == replace(RECORD, upper_s=None)
    assert (RECORD.bounded, replace(RECORD, upper_s=0.3).bounded, replace(RECORD, upper_s=None).bounded) == (False, True, None)


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        line_of(replace(RECORD, device_only_s=math.nan))


@pytest.mark.parametrize("field", json.loads(line_of(RECORD)))
@pytest.mark.parametrize("value", [[], {"a": 1}, -1, True, "\ud800", 10**400, "absent"])
def test_a_field_that_does_not_fit_is_named(field: str, value: object) -> None:
    document = json.loads(line_of(RECORD))
    document[field] = value
    if value == "absent":
        del document[field]
    try:
        record_of(json.dumps(document))
    except InputError as error:
        assert field in str(error)
    else:
        assert (field, value) in [("codecs", []), ("started_s", -1), ("wall_time_s", -1), ("upper_s", "absent")]


@pytest.mark.parametrize(
    "line", [b"", b"nonsense", b"[]", b"\xff", b"NaN", b"[" * 100_000, line_of(RECORD)[:-30], b'{"version":2}']
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(InputError):
        record_of(line)


def test_conditions_that_cannot_be_are_refused() -> None:
    document = json.loads(line_of(RECORD))
    document["conditions"]["uplink_bps"] = 0
    with pytest.raises(InputError, match="conditions: uplink is 0"):
        record_of(json.dumps(document))


def test_each_record_is_in_the_file_when_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with RecordFile(path) as file:
        for number in range(3):
            file.write(replace(RECORD, request_id=str(number)))
            assert [record.request_id for record in lines_of(path)] == [str(each) for each in range(number + 1)]
    file.write(RECORD)
    assert len(lines_of(path)) == 3, "a file that was closed is not written to"


@pytest.mark.parametrize("kept", range(0, len(line_of(RECORD)), 40))
def test_a_line_that_was_left_unfinished_is_taken_away(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(line_of(RECORD) + line_of(RECORD)[:kept])
    with RecordFile(path) as file:
        file.write(replace(RECORD, request_id="next"))
    assert [record.request_id for record in lines_of(path)] == [RECORD.request_id, "next"]


@pytest.mark.parametrize("content", ["my diary", "my diary\n", line_of(RECORD) + "my diary\n"])
def test_a_file_of_something_else_is_left_as_it_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "diary"
    path.write_text(content)
    with pytest.raises(InputError, match="does not end in a record"):
        RecordFile(path)
    assert path.read_text() == content


def test_places_without_a_regular_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "absent" / "run.jsonl", tmp_path / "pipe", Path("/dev/null"), "a\0b"):
        with pytest.raises(InputError, match=r"records (cannot be|are) written"):
            RecordFile(place)


def test_records_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with RecordFile(path) as file:
        threads = [threading.Thread(target=lambda: [file.write(RECORD) for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lines_of(path) == [RECORD] * 200


def test_a_full_disk_ends_the_records_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordFile(tmp_path / "run.jsonl") as file:
        file.write(RECORD)
        whole = os.write
        monkeypatch.setattr(os, "write", lambda handle, content: whole(handle, content[:10]))
        with pytest.warns(CicWarning, match=r"run\.jsonl: no more records are written: the disk is full"):
            file.write(RECORD)
        file.write(RECORD)
    monkeypatch.undo()
    with RecordFile(tmp_path / "run.jsonl") as file:
        file.write(RECORD)
    assert lines_of(tmp_path / "run.jsonl") == [RECORD] * 2


def test_a_full_file_becomes_the_older_one_and_nothing_is_lost_before_a_second_is_full(tmp_path: Path) -> None:
    path, size = tmp_path / "run.jsonl", len(line_of(RECORD))
    # Two processes write to it, of which the second finds that it was renamed.
    with RecordFile(path, 3 * size) as first, RecordFile(path, 3 * size) as second:
        for number in range(8):
            (first if number % 2 else second).write(replace(RECORD, request_id=f"{number}"))
            lines = [*(lines_of(older_file(path)) if older_file(path).exists() else []), *lines_of(path)]
            assert lines[-1].request_id == f"{number}"
            assert len({line.request_id for line in lines}) == len(lines) >= min(number + 1, 4)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 6 * size
