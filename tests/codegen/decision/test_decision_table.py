"""Numbers that do not fit together are no table."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from codegen.errors import CodegenError
from tests.codegen.decision.small_tables import two_cuts


def test_equal_cuts_of_one_id_are_refused() -> None:
    table = two_cuts()
    with pytest.raises(CodegenError, match="must differ in what they send"):
        type(table)(**{**vars(table), "cut_ids": table.cut_ids * 2, "sent": table.sent * 2, "rows": table.rows * 2})


@pytest.mark.parametrize("field, bad", [("cut_ids", ()), ("break_points", (2e6, 1e6)), ("best_between", (99,)), ("rows", ())])
def test_numbers_that_do_not_fit_together_are_refused(field: str, bad: object) -> None:
    table = two_cuts()
    with pytest.raises(CodegenError, match=field):
        type(table)(**{**vars(table), field: bad})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 1, 1e31])
def test_amounts_that_are_none_are_refused(bad: float) -> None:
    table = two_cuts()
    for fields in ({"rows": ((0.0, bad, 0.0, 0.0, 1.0),) * 2}, {"break_points": (bad,)}, {"default_rtt_s": bad}):
        with pytest.raises(CodegenError, match="got"):
            replace(table, **fields)
