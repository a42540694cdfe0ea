"""Tables line up, fit the terminal, and break no word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.commands.table import plain_table, print_table

COLUMNS = ("name", "ops on device", "where", "bytes")
OPTIONS = {"left": ("name", "where"), "words": ("where",), "drop": ("bytes", "ops on device")}
WORD = st.text("abc-123", min_size=1, max_size=12)


def test_tables_are_aligned() -> None:
    table = plain_table(("name", "bytes"), [("a", "5"), ("longer", "12345")], left=("name",)).splitlines()
    assert table == ["name    bytes", "a           5", "longer  12345"]


@given(
    st.lists(st.tuples(WORD, st.integers(0, 999).map(str), st.lists(WORD, max_size=5).map(" ".join), WORD), max_size=4),
    st.integers(30, 80),
)
def test_a_table_fits_unless_its_names_do_not_and_breaks_no_word(rows: list[tuple[str, ...]], width: int) -> None:
    whole, narrow = plain_table(COLUMNS, rows, **OPTIONS), plain_table(COLUMNS, rows, **OPTIONS, width=width)
    assert set(narrow.partition("(left out")[0].split()) <= set(whole.split())
    for name, _, where, _ in rows:
        assert {name, *where.split()} <= set(narrow.split())
    # A word of twelve letters, two of the columns that stay, and what is between them.
    assert max(map(len, narrow.splitlines()[: -1 if "left out" in narrow else None])) <= width


def test_columns_are_left_out_in_order_and_only_where_there_is_no_room() -> None:
    rows = [("a" * 12, "3 of 7", "50 kbit/s to 5 Mbit/s", "12 kB")]
    for width, left_out in ((80, ()), (42, ()), (36, ("bytes",)), (28, ("bytes", "ops on device"))):
        table = plain_table(COLUMNS, rows, **OPTIONS, width=width)
        assert ("left out" in table) == bool(left_out) and (not left_out or f"room: {', '.join(left_out)})" in table)


def test_a_number_stays_with_its_unit() -> None:
    table = plain_table(
        ("where",), [("50 kbit/s to 5 Mbit/s if round trip 20 ms",)], left=("where",), words=("where",), width=16
    )
    assert "50 kbit/s" in table and "5 Mbit/s" in table and "20 ms" in table


def test_what_a_terminal_would_obey_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [("\033[2Jconv\r",)], title="net\nwork\a")
    printed = capsys.readouterr().out
    assert "conv" in printed and "net work" in printed
    assert all(letter.isprintable() or letter == "\n" for letter in printed)
