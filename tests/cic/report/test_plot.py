"""Marks of a picture: of bounded size however many values, and nothing lost that could be seen."""

from __future__ import annotations

import random
import re
from xml.etree.ElementTree import Element

import pytest

from cic.report.plot import Plot, legend, picture
from cic.report.scales import Scale

PLOT = Plot(Scale(0, 100, 0, 480), Scale(0, 100, 200, 0))


def path_of(drawn: Element) -> str:
    return next(element for element in drawn.iter("path")).attrib["d"]


def strokes(drawn: Element) -> list[tuple[float, float, float]]:
    """x, y and length of each vertical stroke."""
    return [tuple(map(float, numbers)) for numbers in re.findall(r"M(\S+) (\S+?)v([\d.-]+)", path_of(drawn))]  # type: ignore[misc]


def test_each_point_is_under_a_dot_and_no_dot_is_without_a_point() -> None:
    chance = random.Random(1)
    points = [(chance.uniform(0, 100), chance.uniform(0, 100)) for _ in range(3000)]
    drawn = strokes(PLOT.dots(points, "split"))
    cells = {(round(PLOT.x.place(x) / 2), round(PLOT.y.place(y) / 2)) for x, y in points}
    covered = {(x / 2, y / 2 + step) for x, y, length in drawn for step in range(int(length / 2) + 1)}
    assert covered == cells


def test_a_picture_of_a_hundred_thousand_points_stays_small() -> None:
    points = [(number / 1000, 50 + number % 7 * 0.1) for number in range(100_000)]
    assert len(path_of(PLOT.dots(points, "split"))) < 20_000
    assert len(path_of(PLOT.line(points, "device"))) < 20_000


def test_a_line_breaks_where_nothing_is_known() -> None:
    line = path_of(PLOT.line([(0, 10), (10, 10), (20, None), (30, 10), (40, 20)], "device"))
    assert line.count("M") == 2 and line.count("L") == 2
    assert path_of(PLOT.line([(0, None)], "device")) == "M0 0"


def test_a_choice_holds_until_the_next_and_each_is_counted_once() -> None:
    times, chosen = [0.0, 25.0, 50.0, 75.0], [True, True, False, True]
    spans = PLOT.spans(times, chosen)
    assert [count for _, _, count in spans] == [2, 1]
    (left, width, _), (second, rest, _) = spans
    assert (left, width) == pytest.approx((0, 240), abs=1.1) and (second, second + rest) == pytest.approx((360, 480), abs=1.1)
    assert sum(count for _, _, count in PLOT.spans([number / 1000 for number in range(99_999)], [True] * 99_999)) == 99_999
    assert PLOT.spans([0.0], [True])[0][2] == 1


def test_a_picture_says_what_it_is() -> None:
    drawn = picture("some", (10, 10), "A title", "Some words")
    svg = next(drawn.iter("svg"))
    named = {element.attrib["id"]: element.text for element in svg if "id" in element.attrib}
    assert [named[name] for name in svg.attrib["aria-labelledby"].split()] == ["A title", "Some words"]
    assert svg.attrib["role"] == "img"
    assert "".join(legend([("dots", "split", "measured")]).itertext()) == "measured"
