"""The picture of latency against bandwidth."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

import cic
from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.units import show_bandwidth
from cic.errors import CicError
from cic.pictures.latency import _apart, latency_picture
from tests.cic.conftest import Project
from tests.cic.hand_made import splitting_model


def words_of(svg: Path) -> list[str]:
    """The texts of a picture; matplotlib draws them as shapes and keeps the words in comments."""
    return [words.strip() for words in re.findall(r"<!-- (.*?) -->", svg.read_text())]


def test_picture_names_break_points_baselines_and_machines(project: Project, tmp_path: Path) -> None:
    model = cic.load(project.file)
    latency_picture(model, tmp_path / "small.svg")
    words = words_of(tmp_path / "small.svg")
    assert model.break_points
    for point in model.break_points:
        assert show_bandwidth(point) in words
    assert {"best cut", "all on the device", "all on the server", "the best cut changes"} <= set(words)
    machines = [model.information.device.name, model.information.server.name]
    assert any(all(machine in text for machine in machines) for text in words)
    assert any("uplink bandwidth" in text for text in words) and any("latency" in text for text in words)
    assert any(text.endswith("bit/s") for text in words) and any(text.endswith("ms") for text in words)


def test_picture_shows_where_a_split_saves_time_and_names_what_is_best(project: Project, tmp_path: Path) -> None:
    model = cic.load(project.file)
    latency_picture(model, tmp_path / "small.svg")
    words = words_of(tmp_path / "small.svg")
    assert "saved by splitting" in words
    best = {model.cuts[index] for index in model.best_between}
    assert all(cut.label in words or cut.id in words for cut in best), "pieces of the thick line have no names"


def test_pieces_too_narrow_for_a_name_get_one_below(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        model = splitting_model(network_shaped(random.Random(seed), 40), Box())
        latency_picture(model, tmp_path / "many.svg")
        words = words_of(tmp_path / "many.svg")
        assert all(model.cuts[index].label in words for index in model.best_between)


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_suffix_decides_the_format(project: Project, tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"small{suffix}"
    latency_picture(cic.load(project.file), path)
    assert path.read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_other_formats_and_places_are_refused(project: Project, tmp_path: Path) -> None:
    model = cic.load(project.file)
    for path in (tmp_path / "small.bmp", tmp_path / "small", tmp_path / "nowhere" / "small.png"):
        with pytest.raises(CicError, match=re.escape(str(path))):
            latency_picture(model, path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("places", [[], [0.5], [0.1, 0.5, 0.9], [0.5, 0.5, 0.5], [0.2, 0.21, 0.22, 0.23, 0.29, 0.3]])
def test_labels_keep_their_order_and_distance_and_stay_near(places: list[float]) -> None:
    moved = _apart(places, 0.05)
    assert len(moved) == len(places)
    assert all(right - left >= 0.05 - 1e-9 for left, right in pairwise(moved))
    assert all(abs(new - old) <= 0.05 * len(places) for new, old in zip(moved, places, strict=True))
    if all(right - left > 0.05 for left, right in pairwise(places)):
        assert moved == pytest.approx(places)
