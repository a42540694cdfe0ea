"""Tables: what they count adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from cic.report.run_records import RunRecords, read_run
from cic.report.tables import cut_table, high_share, outcome_table, slowest_table
from tests.cic.report.made_run import made_run, write_run


def rows_of(table: Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row.iter("td")] for row in table.iter("tr")][1:]


def made(tmp_path: Path, **changes: object) -> RunRecords:
    records = [replace(record, **changes) for record in made_run(400)]  # type: ignore[arg-type]
    return read_run(write_run(tmp_path / "run.jsonl", records))


def test_outcomes_add_up(tmp_path: Path) -> None:
    run = made(tmp_path)
    counts = {text: int(count) for text, count, _ in rows_of(outcome_table(run))}
    kinds = [counts["answered by the server"], counts["decided for the device alone"], counts["fell back to the device"]]
    assert sum(kinds) == 400 and all(kinds)
    assert counts["– the server closed the connection"] == counts["fell back to the device"]
    assert counts["later than the deadline, of 400 with one"] == sum(record.measured.latency_s > 0.3 for record in run.records)


def test_many_reasons_do_not_fill_the_page(tmp_path: Path) -> None:
    records = [replace(record, outcome=f"fallback: reason {number}") for number, record in enumerate(made_run(400))]
    rows = rows_of(outcome_table(read_run(write_run(tmp_path / "run.jsonl", records))))
    assert len(rows) < 40 and rows[-2][:2] == ["– 370 other reasons", "370"]


def test_without_deadlines_none_is_missed(tmp_path: Path) -> None:
    assert not any("deadline" in row[0] for row in rows_of(outcome_table(made(tmp_path, deadline_s=None))))


def test_cuts_add_up_and_the_slowest_come_first(tmp_path: Path) -> None:
    run = made(tmp_path)
    assert sum(int(row[1]) for row in rows_of(cut_table(run))) == 400
    slowest = rows_of(slowest_table(run))
    longest = sorted((record.measured.latency_s for record in run.records), reverse=True)
    assert len(slowest) == 10 and slowest[0][2] == f"{longest[0] * 1e3:.3g} ms"


def test_the_percentile_is_among_the_values() -> None:
    assert high_share([3.0]) == 3.0
    assert high_share([float(number) for number in range(101)]) == 95.0
