"""The attacks of `benchmarks.trust.attack.payloads`, few of each: nothing but errors of ours, at bounded cost."""

from __future__ import annotations

import pytest

from benchmarks.trust.attack import payloads


@pytest.mark.parametrize("name", payloads.NAMES)
def test_payloads_that_no_codec_wrote(name: str) -> None:
    tally = payloads.attack(name, 50, seed=7, bombed=[(1, 3, 64, 64)], longest_s=10)
    assert not tally.faults
    assert tally.endings["CodecError"] > 20


def test_numbers_of_transforms_that_nobody_made() -> None:
    tally = payloads.attack_numbers(100, seed=7, longest_s=10)
    assert not tally.faults
    assert tally.endings["CodecError"] > 50
