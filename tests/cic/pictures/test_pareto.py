"""The picture of a Pareto front names its cuts, and says what is proved."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.energy import Energy
from cic.pictures.pareto import AXES, pareto_picture
from tests.cic.hand_made import splitting_model
from tests.cic.pictures.test_latency import words_of


def test_the_picture_names_each_corner_and_both_axes(tmp_path: Path) -> None:
    model = splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)
    front = model.pareto(bandwidth="100Mbps", energy=Energy(0.5, 6.0, 4.0, 0.3))
    assert len(front) > 1
    pareto_picture(front, model.name, tmp_path / "front.svg")
    words = words_of(tmp_path / "front.svg")
    assert {cut.cut.label for cut in front if cut.supported} <= set(words)
    assert {AXES["latency"], AXES["energy"], "proved Pareto-optimal", "other cuts may lie here"} <= set(words)


def test_a_front_of_one_cut_can_be_drawn_by_any_two_sums(tmp_path: Path) -> None:
    model = splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)
    front = model.pareto("upload", "server", bandwidth="100Mbps")
    pareto_picture(front, model.name, tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 5000
