"""The figure of predicted against measured latency, and the median errors of the prediction part by part."""

from __future__ import annotations

from statistics import median

from cic.decision.units import show_seconds
from cic.report.elements import element
from cic.report.plot import Plot, legend, picture
from cic.report.scales import Scale, logarithmic_scale
from cic.report.tables import table
from cic.session.record import LOCAL, REMOTE, TERMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from cic.report.run_records import RunRecords
    from cic.session.record import Record

_SIZE = (470, 430)
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 458, 30, 384
_NAMES = {
    "device_s": "device",
    "uplink_s": "uplink",
    "server_s": "server",
    "downlink_s": "downlink",
    "rtt_s": "round trip",
    "latency_s": "latency",
}


def prediction_figure(run: RunRecords) -> Element:
    """A dot for each inference that ran as it was predicted, a line where both are equal, and the table of errors beside it."""
    records = run.answered
    values = [time for record in records for time in (record.predicted.latency_s, record.measured.latency_s)]
    x = logarithmic_scale(values, _LEFT, _RIGHT)
    plot = Plot(x, Scale(x.low, x.high, _BOTTOM, _TOP, logarithmic=True))
    drawn = element("g", plot.line([(x.low, x.low), (x.high, x.high)], "equal"), clip_path="url(#prediction-clip)")
    for kind, style in ((REMOTE, "split"), (LOCAL, "local")):
        points = [(record.predicted.latency_s, record.measured.latency_s) for record in records if record.kind == kind]
        drawn.append(plot.dots(points, style))
    title = "Predicted against measured latency"
    ticks = x.ticks[:: max(1, len(x.ticks) // 5)]
    axes = (plot.vertical_axis(ticks, show_seconds, "measured"), plot.horizontal_axis(ticks, show_seconds, "predicted"))
    shown = picture("prediction", _SIZE, title, _description(records), plot.clip("prediction-clip"), *axes, drawn)
    entries = [
        ("dots", "split", "with the server"),
        ("dots", "local", "on the device alone"),
        ("line", "equal", "as predicted"),
    ]
    both = element("div", element("div", shown), element("div", _errors(records)), class_="beside")
    note = element("p", _description(records), class_="note")
    return element("figure", element("figcaption", title), legend(entries), both, note)


def _errors(records: Iterable[Record]) -> Element:
    """Medians by part. The error is |predicted − measured| / measured, of each inference in which the part was measured."""
    rows = []
    for term in TERMS:
        pairs = _pairs(records, term)
        if pairs:
            predicted, measured = (median(side) for side in zip(*pairs, strict=True))
            error = median_error(pairs)
            shown = "" if error is None else f"{error:.1%}"
            rows.append([_NAMES[term], show_seconds(predicted), show_seconds(measured), shown, f"{len(pairs):,}"])
    caption = "Median of what was predicted and measured, and of the error"
    return table(caption, ("part", "predicted", "measured", "error", "inferences"), rows, left=("part",))


def _pairs(records: Iterable[Record], term: str) -> list[tuple[float, float]]:
    """Predicted and measured seconds, of the inferences that have both and for which the part is not absent."""
    found = [(getattr(record.predicted, term), getattr(record.measured, term)) for record in records]
    return [pair for pair in found if None not in pair and pair != (0.0, 0.0)]


def median_error(pairs: Iterable[tuple[float, float]]) -> float | None:
    """The median of |predicted − measured| / measured; None if nothing was measured."""
    errors = [abs(predicted - measured) / measured for predicted, measured in pairs if measured > 0]
    return median(errors) if errors else None


def _description(records: Iterable[Record]) -> str:
    """What the figure says, in words."""
    error = median_error(_pairs(records, "latency_s"))
    if error is None:
        return "No inference ran as it was predicted."
    return f"The median error of the predicted latency is {error:.1%}; fallbacks are not counted."
