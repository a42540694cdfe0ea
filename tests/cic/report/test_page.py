"""The page: whole, self-contained, told in words too, and the same to a real browser as to us."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cic.report.page import page
from cic.report.run_records import read_run
from tests.cic.report.made_run import made_run, write_run
from tests.cic.report.reading import tree_of, words_of

HOSTILE = "</title></style><script>alert(1)</script><img src=http://example.com/x onerror='a()'>&amp;\"'\x00\x1b[31m\u202e]]>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def page_of(tmp_path: Path, records: object = None, title: str | None = None) -> str:
    return page(read_run(write_run(tmp_path / "run.jsonl", records or made_run())), title)  # type: ignore[arg-type]


def hostile_page(tmp_path: Path) -> str:
    """Every text of every record, and the title, are such as would break a page that writes them as they are."""
    texts = {"cut_id": HOSTILE, "codecs": (HOSTILE,), "why": HOSTILE, "outcome": f"fallback: {HOSTILE}", "request_id": HOSTILE}
    return page_of(tmp_path, [replace(record, **texts) for record in made_run(20)], HOSTILE)  # type: ignore[arg-type]


def test_every_element_is_closed_and_ids_are_unique(tmp_path: Path) -> None:
    root = tree_of(page_of(tmp_path))
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([\w-]+)\)", page_of(tmp_path)) + [
        name for element in root.iter() for name in element.attrib.get("aria-labelledby", "").split()
    ]
    assert set(used) == set(ids)


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    for text in (page_of(tmp_path), hostile_page(tmp_path)):
        root = tree_of(text)
        assert {element.tag for element in root.iter()}.isdisjoint(
            {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject", "a"}
        )
        attributes = {name for element in root.iter() for name in element.attrib}
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "xlink:href", "srcset")}
        style = next(root.iter("style")).text or ""
        assert "@import" not in style and "url(" not in style and "src" not in style
        policy = next(each.attrib["content"] for each in root.iter("meta") if "http-equiv" in each.attrib)
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_figure_has_a_title_and_is_told_in_words(tmp_path: Path) -> None:
    root = tree_of(page_of(tmp_path))
    figures = list(root.iter("figure"))
    assert len(figures) == 3
    for figure in figures:
        assert next(figure.iter("figcaption")).text
        pictures = [svg for svg in figure.iter("svg") if svg.attrib.get("role") == "img"]
        assert len(pictures) == 1
        title, description = pictures[0][0], pictures[0][1]
        assert title.tag == "title" and title.text and description.tag == "desc" and len(description.text or "") > 40
    assert all(svg.attrib.get("role") == "img" or "aria-hidden" in svg.attrib for svg in root.iter("svg"))


def test_names_stay_texts(tmp_path: Path) -> None:
    text = hostile_page(tmp_path)
    seen = HOSTILE.translate({ord(letter): "\N{REPLACEMENT CHARACTER}" for letter in "\x00\x1b\u202e"})
    assert words_of(tree_of(text)).count(seen) > 20
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", text)


@pytest.mark.parametrize("deadline_s", [None, 0.2])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_runs_of_few_inferences_have_a_page(count: int, deadline_s: float | None, tmp_path: Path) -> None:
    records = [replace(record, started_s=5.0) for record in made_run(count, deadline_s=deadline_s)]
    root = tree_of(page_of(tmp_path, records))
    assert f"{count} inference" in words_of(root)
    coordinates = [element.attrib.get("d", "") for element in root.iter("path")]
    assert not any("nan" in each or "inf" in each for each in coordinates)


def test_without_extremes_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    records = [replace(record, device_only_s=None, server_only_s=None, wall_time_s=1e200) for record in made_run(9)]
    words = words_of(tree_of(page_of(tmp_path, records)))
    assert "of the better of" not in words and "an unknown date" in words


def test_the_share_of_what_was_within_its_time_is_told(tmp_path: Path) -> None:
    factors = [0.5, 2.0, 2.0, 2.0] * 10
    records = [
        replace(each, upper_s=each.measured.latency_s * factor) for each, factor in zip(made_run(40), factors, strict=True)
    ]
    words = words_of(tree_of(page_of(tmp_path, records)))
    assert "within the time that was said for 95 %" in words and "75.0%" in words and "said for 95 % of all cases" in words
    words = words_of(tree_of(page_of(tmp_path, [replace(record, upper_s=None) for record in records])))
    assert "said for 95 %" not in words, "older records say nothing"
    some = [replace(record, upper_s=None) if number % 3 else record for number, record in enumerate(records)]
    assert "said for 95 % of all cases" in words_of(tree_of(page_of(tmp_path, some)))


def test_a_page_of_many_records_stays_small(tmp_path: Path) -> None:
    assert len(page_of(tmp_path, made_run(4000))) < 120_000


def test_a_cut_off_line_is_told(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.jsonl", made_run(3))
    path.write_text(path.read_text()[:-9])
    assert "cut off and is left out" in words_of(tree_of(page(read_run(path))))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_sees_the_page_as_it_was_written(tmp_path: Path) -> None:
    """Its tree, written again, is the page: no name broke out of its place, and no policy was violated."""
    text = hostile_page(tmp_path)
    (tmp_path / "page.html").write_text(text)
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command = [str(CHROMIUM), *options, "--dump-dom", (tmp_path / "page.html").as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout.removesuffix("\n") == text
    assert "CONSOLE" not in result.stderr
