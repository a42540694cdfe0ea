"""Measured states come from a CSV file whole, or are refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.errors import InputError
from cic.sensitivity.measured_states import measured

GOOD = """network,load,cut,latency_ms
wifi,1,near,10
wifi,1,near,12
wifi,1,near,11
wifi,1,far,20
lte,1,near,10
lte,1,far,80
wifi,2,near,21
wifi,2,far,20
lte,2,near,22
lte,2,far,80
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "states.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_repeats_are_one_state_with_their_median(tmp_path: Path) -> None:
    table = measured(written(tmp_path, GOOD))
    assert table.name == "states" and table.factors == ("network", "load") and table.cuts == ("near", "far")
    assert table.states == (("wifi", 1.0), ("lte", 1.0), ("wifi", 2.0), ("lte", 2.0)) and table.usual == 0
    assert table.latency_s[0] == pytest.approx((0.011, 0.02)) and table.best == (0, 0, 1, 0)
    assert table.levels(0) == ("wifi", "lte") and table.levels(1) == (1.0, 2.0) and not table.proved


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its columns are none"),
        ("load,cut,seconds\n1,near,2\n", "its columns are load, cut, seconds"),
        ("cut,latency_s\nnear,2\n", "a column for each condition is expected"),
        ("load,cut,latency_s\n1,near,fast\n", "line 2 has the latency 'fast'"),
        ("load,cut,latency_s\n1,near,0\n", "line 2 has the latency '0'"),
        ("load,cut,latency_s\n1,near\n", "line 2 does not have as many values"),
        ("load,cut,latency_s\n1,near,2,3\n", "line 2 does not have as many values"),
        (GOOD.replace("lte,2,far,80\n", ""), "nothing was measured of cut far at network lte, load 2"),
    ],
)
def test_files_that_are_no_such_table_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        measured(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as CSV"):
        measured(tmp_path / "absent.csv")
