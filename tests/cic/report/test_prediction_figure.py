"""Errors of the prediction, part by part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.report.prediction_figure import median_error, prediction_figure
from cic.report.run_records import read_run
from cic.session.record import Terms
from tests.cic.report.made_run import made_run, write_run

times = st.floats(1e-6, 1e3)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=9), st.floats(0.01, 100))
def test_the_error_has_no_unit_and_is_nothing_where_all_are_equal(pairs: list[tuple[float, float]], unit: float) -> None:
    error = median_error(pairs)
    assert median_error([(predicted * unit, measured * unit) for predicted, measured in pairs]) == pytest.approx(error)
    assert median_error([(measured, measured) for _, measured in pairs]) == 0
    assert median_error([(0.9 * measured, measured) for _, measured in pairs]) == pytest.approx(0.1)


def test_only_what_ran_as_predicted_is_compared(tmp_path: Path) -> None:
    records = [
        replace(
            record, outcome="remote", cut_id="cut-1", predicted=Terms(1, 2, 3, 4, 5, 15), measured=Terms(2, 2, 3, 4, None, 12)
        )
        for record in made_run(10)
    ]
    failed = [
        replace(record, outcome="fallback: it broke", measured=Terms(None, None, None, None, None, 99)) for record in records
    ]
    figure = prediction_figure(read_run(write_run(tmp_path / "run.jsonl", [*records, *failed])))
    rows = [[cell.text for cell in row.iter("td")] for row in figure.iter("tr")]
    assert rows[1:] == [
        ["device", "1 s", "2 s", "50.0%", "10"],
        ["uplink", "2 s", "2 s", "0.0%", "10"],
        ["server", "3 s", "3 s", "0.0%", "10"],
        ["downlink", "4 s", "4 s", "0.0%", "10"],
        ["latency", "15 s", "12 s", "25.0%", "10"],
    ]


def test_a_run_of_fallbacks_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    failed = [replace(record, outcome="fallback: it broke") for record in made_run(3)]
    figure = prediction_figure(read_run(write_run(tmp_path / "run.jsonl", failed)))
    assert "No inference ran as it was predicted." in "".join(figure.itertext())
