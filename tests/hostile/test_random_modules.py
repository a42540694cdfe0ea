"""A hundred random modules, cut at random closed sets: no cut is wrong, few modules are refused."""

from __future__ import annotations

import pytest

from tests.hostile.random_modules import check_many

MODULES_A_BLOCK = 25
SHARE_REFUSED = 0.08


@pytest.mark.parametrize("block", range(4))
def test_random_cuts_equal_the_whole_or_are_refused(block: int) -> None:
    tally = check_many(first=10_000 + 1000 * block, count=MODULES_A_BLOCK)
    assert not tally.wrong
    assert tally.refused_modules.total() <= SHARE_REFUSED * tally.modules, tally
    assert tally.saved_cuts > 0
    assert tally.invalid_modules <= tally.modules / 10, f"the generator makes programs torch does not run: {tally}"
