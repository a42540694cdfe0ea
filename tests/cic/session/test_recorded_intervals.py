"""Intervals of a splitting model by records: as often in time as said, and nothing where too little is recorded."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import ceil, inf
from pathlib import Path

import pytest

import cic
from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, Cut
from cic.decision.quantile import QuantileDecision
from cic.errors import ArgumentError, InputError
from cic.session.record import FALLBACK, LOCAL, REMOTE, Record, Terms, line_of
from cic.session.recorded_intervals import LatencyIntervals

CONDITIONS = Conditions(20e6, 40e6, 0.01, 1.5, 2.0)


def record(cut: Cut, ratio: float, number: int = 0, **changes: object) -> Record:
    """An inference that took so many times what the model predicts for it."""
    predicted_s = cut.latency_s(CONDITIONS)
    fields = {
        "request_id": str(number),
        "started_s": float(number),
        "wall_time_s": 1.8e9,
        "cut_id": cut.id,
        "codecs": cut.codecs,
        "why": "made",
        "conditions": CONDITIONS,
        # What the session believed is another matter.
        "predicted": Terms(1.0, None, None, None, None, 1.0),
        "device_only_s": None,
        "server_only_s": None,
        "measured": Terms(None, None, None, None, None, predicted_s * ratio),
        "upload_bytes": 0,
        "download_bytes": 0,
        "outcome": REMOTE if cut.offloads else LOCAL,
    }
    return Record(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def recorded(model: cic.SplittingModel, tmp_path: Path) -> Callable[[list[float], list[float]], LatencyIntervals]:
    """Intervals by records with these ratios, of the device alone and of the server."""

    def intervals(device: list[float], server: list[float]) -> LatencyIntervals:
        local = next(cut for cut in model.cuts if cut.id == DEVICE_ONLY)
        remote = [cut for cut in model.cuts if cut.offloads]
        records = [record(local, ratio) for ratio in device]
        records += [record(remote[number % len(remote)], ratio) for number, ratio in enumerate(server)]
        path = tmp_path / "run.jsonl"
        path.write_text("".join(map(line_of, records)))
        return LatencyIntervals.from_records(path, model)

    return intervals


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_the_factor_is_that_of_the_records_each_side_of_its_own(
    recorded: Callable[[list[float], list[float]], LatencyIntervals], quantile: float
) -> None:
    rng = random.Random(0)
    device, server = ([rng.lognormvariate(0.1, 0.3) for _ in range(count)] for count in (150, 333))
    intervals = recorded(device, server)
    for offloads, ratios in ((False, device), (True, server)):
        rank = ceil((len(ratios) + 1) * quantile)
        assert intervals.factor(quantile, offloads=offloads) == pytest.approx(sorted(ratios)[rank - 1])
        assert intervals.count(offloads=offloads) == len(ratios)


def test_where_too_little_is_recorded_there_is_no_bound(
    recorded: Callable[[list[float], list[float]], LatencyIntervals],
) -> None:
    intervals = recorded([1.0] * 18, [2.0] * 19)
    assert intervals.factor(0.95, offloads=False) == inf and intervals.factor(0.95, offloads=True) == pytest.approx(2.0)


def test_a_fallback_counts_with_the_cut_that_was_tried(model: cic.SplittingModel, tmp_path: Path) -> None:
    remote = next(cut for cut in model.cuts if cut.offloads)
    path = tmp_path / "run.jsonl"
    path.write_text(line_of(record(remote, 5.0, outcome=f"{FALLBACK}: too late")))
    intervals = LatencyIntervals.from_records(path, model)
    assert (intervals.count(offloads=True), intervals.count(offloads=False)) == (1, 0)


def test_what_cannot_be_used_is_named(model: cic.SplittingModel, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    good = line_of(record(model.cuts[0], 1.0))
    for content, words in (
        ("", "holds no records"),
        (good + "nonsense\n", r"run\.jsonl, line 2: "),
        (good + line_of(record(model.cuts[0], 1.0, cut_id="cut-99")), r"record 2: .* has no cut cut-99 .* of that session"),
        (good + line_of(record(model.cuts[0], 1.0, codecs=("int8",))), r"record 2: .* with the codecs int8"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=words):
            LatencyIntervals.from_records(path, model)
    with pytest.raises(InputError, match="cannot be read"):
        LatencyIntervals.from_records(tmp_path / "absent", model)
    for wrong in ((7, model), (path, "model.cic")):
        with pytest.raises(ArgumentError):
            LatencyIntervals.from_records(*wrong)  # type: ignore[arg-type]


def test_numbers_at_the_edge_of_what_a_record_holds_do_no_harm(model: cic.SplittingModel, tmp_path: Path) -> None:
    terms = Terms(None, None, None, None, None, 1e300)
    path = tmp_path / "run.jsonl"
    path.write_text("".join(line_of(record(model.cuts[0], 1.0, measured=terms)) for _ in range(30)))
    intervals = cic.LatencyIntervals.from_records(path, model)
    offloads = bool(model.cuts[0].offloads)
    assert intervals.factor(0.95, offloads=offloads) > 1e290
    with pytest.raises(cic.DecisionError, match=r"too few inferences are recorded for the quantile 0\.99"):
        model.decide(20e6, quantile=0.99, intervals=intervals)


def test_a_session_s_own_records_are_read(
    model: cic.SplittingModel, opened: Callable[..., cic.Session], image: object, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    session = opened(records=path)
    for _ in range(20):
        session.infer(image)
    session.close()
    intervals = cic.LatencyIntervals.from_records(path, model)
    decision = model.decide("1kbps", quantile=0.95, intervals=intervals)
    assert isinstance(decision, QuantileDecision) and decision.cut_id == DEVICE_ONLY
    assert decision.upper_s == intervals.factor(0.95, offloads=False) * decision.latency_s
