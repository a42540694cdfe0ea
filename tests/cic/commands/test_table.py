"""Tables line up where nothing draws them."""

from __future__ import annotations

import pytest

from cic.commands.table import plain_table

pytestmark = pytest.mark.usefixtures("in_project")


def test_tables_without_rich_are_aligned() -> None:
    table = plain_table(("name", "bytes"), [("a", "5"), ("longer", "12345")], title="Sizes", left=("name",)).splitlines()
    assert table == ["Sizes", "name    bytes", "a           5", "longer  12345"]
