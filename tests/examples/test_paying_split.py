"""The splitting model that ships with the demo can be read, and says what the demo shows; its halves are tested by the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from benchmarks.pay.shipped_model import renewed
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.payoff import payoff_of
from cic.decision.splitting_model import SplittingModel
from examples.paying_split import DOWNLINK_RATIO, SHIPPED, SPLIT, LinkResult, Measured, Run, best_split, photograph


@pytest.fixture(scope="module")
def shipped() -> SplittingModel:
    """`python -m benchmarks.pay.shipped_model --renew` carries it over to another version of the format."""
    return cic.load(SHIPPED)


def test_a_split_is_best_about_the_tie_and_the_extremes_beyond(shipped: SplittingModel) -> None:
    split, pays = best_split(shipped), payoff_of(shipped)
    assert split is not None and pays is not None
    (tie_bps,) = pays.tie_bps
    for times, slowdown in ((0.125, 1), (1.0, 1), (4.0, 1), (1.0, 7)):
        uplink = times * tie_bps / slowdown
        slower = {"device_slowdown": slowdown, "server_slowdown": slowdown}
        decision = shipped.decide(uplink, downlink=DOWNLINK_RATIO * tie_bps / slowdown, **slower)
        assert decision.cut_id == {0.125: DEVICE_ONLY, 1.0: split.id, 4.0: SERVER_ONLY}[times]
        assert decision.optimal
    assert max(gain.factor for gain in pays.gains) > 1.4


def test_both_sides_of_the_comparison_keep_as_much(shipped: SplittingModel) -> None:
    """The smallest picture file of the table and the split, each shown to keep 95 % and measured to keep more."""
    for cut in shipped.cuts:
        assert cut.accuracy is not None and cut.accuracy["top1"] > 0.95
    told = shipped.information.codecs
    assert told is not None and told.accuracy_target == "top1>=0.95" and told.enough_samples


def test_what_its_codecs_are_made_from_is_in_the_file(shipped: SplittingModel) -> None:
    pixels = photograph()
    for cut in shipped.cuts:
        for name in cut.codecs:
            used = shipped.codec(name)
            if used.of_pixels:
                assert tuple(used.decode(used.encode(pixels), pixels.shape, "uint8").shape) == tuple(pixels.shape)


def test_a_file_that_is_renewed_says_the_same(shipped: SplittingModel, tmp_path: Path) -> None:
    again = tmp_path / "again.cic"
    again.write_bytes(renewed(SHIPPED.read_bytes()))
    found = cic.load(again)
    assert [(cut.label, cut.row, cut.accuracy) for cut in found.cuts] == [
        (cut.label, cut.row, cut.accuracy) for cut in shipped.cuts
    ]
    assert found.stored_codecs == shipped.stored_codecs and found.break_points == shipped.break_points


def test_a_gain_is_over_the_better_extreme() -> None:
    runs = {
        way: [Run(seconds, 1, 0) for seconds in (2 * took, took)]
        for way, took in ((DEVICE_ONLY, 3), (SERVER_ONLY, 4), (SPLIT, 2))
    }
    assert LinkResult(1e6, SPLIT, runs).gain == 1.5
    assert LinkResult(1e6, SERVER_ONLY, runs).gain == 0.75


def test_times_of_a_busy_machine_are_told_from_those_of_a_quiet_one() -> None:
    def measured(tie: dict[str, float]) -> Measured:
        def link(decided: str, latencies_s: dict[str, float]) -> LinkResult:
            return LinkResult(1e6, decided, {way: [Run(latency_s, 1, 0)] for way, latency_s in latencies_s.items()})

        slow = link(DEVICE_ONLY, {DEVICE_ONLY: 0.5, SERVER_ONLY: 2.0, SPLIT: 0.6})
        fast = link(SERVER_ONLY, {DEVICE_ONLY: 0.5, SERVER_ONLY: 0.2, SPLIT: 0.25})
        return Measured({}, 20.0, 0, 1, (slow, link(SPLIT, tie), fast))

    assert not measured({DEVICE_ONLY: 0.5, SERVER_ONLY: 0.55, SPLIT: 0.35}).disturbed
    assert measured({DEVICE_ONLY: 0.5, SERVER_ONLY: 0.8, SPLIT: 0.35}).disturbed, "they do not tie"
    assert measured({DEVICE_ONLY: 0.5, SERVER_ONLY: 0.5, SPLIT: 0.8}).disturbed, "the choice is far from the fastest"
