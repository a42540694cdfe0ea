"""The benchmark of real networks, on one that is none: both extremes tie where it says, and nothing is run twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.pay import gains, measured, server_only
from benchmarks.pay.gains import cells
from benchmarks.pay.gains_picture import draw
from benchmarks.pay.pay import published
from benchmarks.pay.real_network import RealNetwork, same_class
from benchmarks.pay.remembered_runs import Memory
from benchmarks.pay.server_only import PictureFiles, SentInput, tie_bps
from benchmarks.pay.text_pictures import line_of_text, page_of_text
from cic.precision.cut_accuracy import Examiner


@pytest.fixture(scope="module")
def network() -> RealNetwork:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 5)
    smooth = nn.functional.interpolate(torch.rand(60, 3, 4, 4), size=(28, 28), mode="bilinear")
    pictures = [(picture[None],) for picture in (smooth * 255).round() / 255]
    return RealNetwork("tiny", nn.Sequential(*layers).eval(), "uint8", pictures[:48], pictures[48:], same_class, "classes")


def test_cells_of_a_network(network: RealNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gains, "SHARES", (0.95,))
    monkeypatch.setattr(gains, "TRAINED_FOR", "1s")
    families = list(gains.FAMILIES)
    found = list(cells(network, tmp_path, ["raspberry-pi-4"], ["i7-13700k"], families))
    assert [cell.family for cell in found] == families
    for cell in found:
        at = cell.at(1.0)
        assert at is not None and at.device_only_ms == pytest.approx(at.server_only_ms)
        assert all(point.gain <= point.device_only_ms / point.latency_ms * 1.0001 for point in cell.points)
        assert all(0 <= point.kept <= 1 for point in cell.points)
        assert all(point.gain_with_answer == pytest.approx(point.gain, rel=0.2) for point in cell.points), "five scores"
    report = published(found, "pay.png")
    assert {target.promise for target in report.targets} >= {"nowhere below 0.97 ×"}
    draw(found, tmp_path / "pay.png")
    assert (tmp_path / "pay.png").stat().st_size > 10_000

    def no_more(*_: object) -> None:
        raise AssertionError("a cut was run again")

    monkeypatch.setattr(Examiner, "reached", no_more)
    again = list(cells(network, tmp_path, ["raspberry-pi-4"], ["i7-13700k"], families))
    assert [cell.points for cell in again] == [cell.points for cell in found]


def test_the_lowest_quality_is_the_lowest_that_is_shown(network: RealNetwork, tmp_path: Path) -> None:
    files = PictureFiles(network, Memory(tmp_path, network))
    file = files.lowest("JPEG", 0.9)
    assert file is not None and 0 <= file.kept <= 1
    assert file.quality % server_only.STRIDE == 1 or not files._is_shown("JPEG", file.quality - 1, 0.9)
    kept = files.lowest("JPEG", 0.9, shown=False)
    assert kept is not None and kept.quality <= file.quality, "what is shown is kept"
    whole_colours = files.lowest("JPEG 4:4:4", 0.9)
    assert whole_colours is not None and whole_colours.quality <= file.quality


def test_both_extremes_tie_at_the_slowest_uplink_that_sending_bears() -> None:
    forms = [
        SentInput("pixels", 0.0, 0.1, 8000.0, 0.0),
        SentInput("file", 0.01, 0.1, 2000.0, 0.0),
        SentInput("slow", 2, 0, 1, 0),
    ]
    tie = tie_bps(1.0, forms)
    assert tie is not None
    assert min(form.latency_s(tie) for form in forms) == pytest.approx(1.0)
    assert min(form.latency_s(tie / 1.1) for form in forms) > 1.0
    assert tie_bps(0.05, forms) is None


def test_the_measured_gain_is_over_the_better_extreme(network: RealNetwork) -> None:
    taken = {"device-only": 0.4, "server-only": 0.5, "split": 0.25}
    rows = [
        {"times_tie": times, "uplink_bps": 1e6, "label": "cut-03", "way": way, "picture": 0, "s": s, "bytes": 1000, "class": 0}
        for times in (0.5, 1.0, 2.0)
        for _ in range(3)
        for way, s in taken.items()
    ]
    predicted = [{"times_tie": times, "cut": "cut-03", "ms": 240.0} for times in (0.5, 1.0, 2.0)]
    file = {"kind": "JPEG", "quality": 50, "mean_bytes": 4000.0, "kept": 0.99}
    report = measured.published({"rows": rows, "predicted": predicted, "file": file}, network)
    assert report.kept and "1.60 ×" in report.targets[0].measured
    for row in rows:
        row["s"] *= 0.7 if row["way"] == "device-only" else 1
    assert not measured.published({"rows": rows, "predicted": predicted, "file": file}, network).kept


def test_pictures_of_text_are_alike_for_a_seed() -> None:
    import numpy as np

    for draw_one in (lambda rng: line_of_text(rng, 320, 48), lambda rng: page_of_text(rng, 96)):
        first, again, other = (draw_one(np.random.default_rng(seed)) for seed in (5, 5, 6))
        assert first.dtype == np.uint8 and (first == again).all() and (first != other).any()
