"""The page about a run: one HTML file that loads nothing, runs no script, and follows the reader's light or dark theme."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from xml.etree.ElementTree import tostring

from cic.decision.units import show_seconds
from cic.report.cut_figure import cut_figure
from cic.report.elements import element
from cic.report.latency_figure import latency_figure
from cic.report.prediction_figure import prediction_figure
from cic.report.scales import show_time
from cic.report.tables import cut_table, high_share, late, outcome_table, slowest_table
from cic.session.record import FALLBACK
from cic.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from cic.report.run_records import RunRecords

# A browser that obeys this fetches nothing, whatever stands in the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(run: RunRecords, title: str | None = None) -> str:
    """The page as HTML; title: default: the name of the file of records."""
    heading = title or run.name
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{heading} – CIC"),
        element("style", Path(__file__).with_name("page.css").read_text(encoding="utf-8")),
    )
    body = element(
        "body",
        element("header", element("h1", heading), element("p", _said(run))),
        _tiles(run),
        latency_figure(run),
        cut_figure(run),
        prediction_figure(run),
        element("section", element("h2", "Outcomes"), outcome_table(run)),
        element("section", element("h2", "Cuts"), cut_table(run)),
        element("section", element("h2", "Slowest"), slowest_table(run)),
        element("footer", element("p", _made_by())),
    )
    return "<!DOCTYPE html>\n" + tostring(element("html", head, body, lang="en"), encoding="unicode", method="html")


def _said(run: RunRecords) -> str:
    began = _date(min(record.wall_time_s for record in run.records))
    count = f"{len(run.records):,} inference{'s' if len(run.records) > 1 else ''}"
    cut_off = " The last line of the file was cut off and is left out." if run.unfinished else ""
    return f"{count} from {began} on, over {show_time(run.times_s[-1])}.{cut_off}"


def _date(wall_time_s: float) -> str:
    try:
        return datetime.fromtimestamp(wall_time_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "an unknown date"


def _tiles(run: RunRecords) -> Element:
    """The figures that are looked for first."""
    latencies = [record.measured.latency_s for record in run.records]
    tiles = [
        ("median latency", show_seconds(median(latencies))),
        ("95th percentile", show_seconds(high_share(latencies))),
        ("of the better of device-only and server-only, as predicted", _against_extremes(run)),
        ("fallbacks", f"{sum(record.kind == FALLBACK for record in run.records):,}"),
    ]
    if any(record.deadline_s is not None for record in run.records):
        tiles.append(("later than the deadline", f"{sum(late(record) for record in run.records):,}"))
    said = [record.bounded for record in run.records if record.bounded is not None]
    if said:
        tiles.append(("within the time that was said for 95 %", f"{sum(said) / len(said):.1%}"))
    shown = [element("div", element("dt", name), element("dd", value)) for name, value in tiles if value]
    return element("dl", *shown, class_="tiles")


def _against_extremes(run: RunRecords) -> str:
    """The median share of measured latency in the better of both sides alone; empty where neither is known."""
    shares = []
    for record in run.records:
        times = [time for time in (record.device_only_s, record.server_only_s) if time]
        if times:
            shares.append(record.measured.latency_s / min(times))
    return f"{median(shares):.0%}" if shares else ""


def _made_by() -> str:
    return (
        f"Made by CIC {VERSION}. Predictions are for the conditions that were estimated when each inference began; "
        "device-only and server-only were not run, unless they were chosen."
    )
