"""Lanes of cuts: each choice is in one, from the device at the top to the server at the bottom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cic.report.cut_figure import cut_figure, label_of
from cic.report.run_records import RunRecords, read_run
from cic.session.record import Record
from tests.cic.report.made_run import made_run, write_run


def run_of(records: list[Record], tmp_path: Path) -> RunRecords:
    return read_run(write_run(tmp_path / "run.jsonl", records))


def lanes_of(run: RunRecords) -> list[tuple[str, int]]:
    """Each lane's full name, and how many inferences its spans tell of."""
    lanes = []
    for lane in (each for each in cut_figure(run).iter("g") if each.attrib.get("class") == "chosen"):
        name, *spans = ["".join(title.itertext()) for title in lane.iter("title")]
        lanes.append((name, sum(int(span.removeprefix(f"{name}: ").split()[0]) for span in spans)))
    return lanes


def test_every_inference_is_in_the_lane_of_its_cut(tmp_path: Path) -> None:
    run = run_of(made_run(300), tmp_path)
    counts = dict(lanes_of(run))
    assert len(counts) == 3
    assert counts == {label: sum(label_of(record) == label for record in run.records) for label in counts}


def test_lanes_run_from_the_device_to_the_server(tmp_path: Path) -> None:
    records = [
        replace(record, cut_id=cut_id, codecs=(), upload_bytes=size)
        for record, (cut_id, size) in zip(
            made_run(4), [("server-only", 5), ("late", 10), ("early", 900), ("device-only", 0)], strict=True
        )
    ]
    assert [name for name, _ in lanes_of(run_of(records, tmp_path))] == ["device-only", "late", "early", "server-only"]


def test_cuts_that_are_rare_share_a_lane(tmp_path: Path) -> None:
    records = [replace(record, cut_id=f"cut-{min(number, 60)}", codecs=()) for number, record in enumerate(made_run(100))]
    lanes = lanes_of(run_of(records, tmp_path))
    assert len(lanes) == 14 and lanes[-1][0] == "other cuts" and ("cut-60", 40) in lanes
    assert sum(count for _, count in lanes) == 100
