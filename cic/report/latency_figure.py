"""The figure of latency over time: what was measured, against everything on the device and everything on the server."""

from __future__ import annotations

from statistics import median

from cic.decision.units import show_seconds
from cic.report.elements import element
from cic.report.plot import Plot, legend, picture
from cic.report.scales import Scale, logarithmic_scale, show_time, time_scale, time_ticks
from cic.session.record import FALLBACK, LOCAL, REMOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from cic.report.run_records import RunRecords

_SIZE = (960, 330)
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 948, 30, 284
# Of the extremes only as much is shown as lets the measured times be told apart.
_MARGIN_FOR_EXTREMES = 6.0


def latency_figure(run: RunRecords) -> Element:
    """Measured latencies as dots, predictions for either side alone and the upper bound as lines; fallbacks are crosses."""
    plot = Plot(time_scale(run.times_s[-1], _LEFT, _RIGHT), _latency_scale(run))
    drawn = element("g", clip_path="url(#latency-clip)")
    for kind, style in ((REMOTE, "split"), (LOCAL, "local")):
        drawn.append(plot.dots([(time, record.measured.latency_s) for time, record in run.timed if record.kind == kind], style))
    drawn.append(plot.line([(time, record.device_only_s) for time, record in run.timed], "device"))
    drawn.append(plot.line([(time, record.server_only_s) for time, record in run.timed], "server"))
    if any(record.deadline_s for record in run.records):
        drawn.append(plot.line([(time, record.deadline_s) for time, record in run.timed], "deadline"))
    if any(record.upper_s for record in run.records):
        drawn.append(plot.line([(time, record.upper_s) for time, record in run.timed], "upper"))
    failed = [(time, record.measured.latency_s) for time, record in run.timed if record.kind == FALLBACK]
    drawn.append(plot.crosses(failed, "fallback"))
    title = "Latency over time"
    axes = (
        plot.vertical_axis(plot.y.ticks, show_seconds, "latency, end to end (logarithmic)"),
        plot.horizontal_axis(time_ticks(plot.x), show_time, "time since the first inference"),
    )
    shown = picture("latency", _SIZE, title, _description(run), plot.clip("latency-clip"), *axes, drawn)
    return element("figure", element("figcaption", title), _legend(run), shown, element("p", _description(run), class_="note"))


def _latency_scale(run: RunRecords) -> Scale:
    measured = [record.measured.latency_s for record in run.records]
    extremes = [time for record in run.records for time in (record.device_only_s, record.server_only_s) if time is not None]
    low, high = min(measured) / _MARGIN_FOR_EXTREMES, max(measured) * _MARGIN_FOR_EXTREMES
    return logarithmic_scale([*measured, *(min(max(time, low), high) for time in extremes)], _BOTTOM, _TOP)


def _legend(run: RunRecords) -> Element:
    kinds = {record.kind for record in run.records}
    entries = [
        (REMOTE, ("dots", "split", "measured, with the server")),
        (LOCAL, ("dots", "local", "measured, on the device alone")),
        (FALLBACK, ("crosses", "fallback", "measured, a fallback to the device")),
    ]
    lines = [
        ("line", "device", "predicted for device-only, for the conditions of the moment"),
        ("line", "server", "predicted for server-only"),
    ]
    deadline = [("line", "deadline", "deadline")] if any(record.deadline_s for record in run.records) else []
    upper = [("line", "upper", "said for 95 % of all cases")] if any(record.upper_s for record in run.records) else []
    return legend([*(entry for kind, entry in entries if kind in kinds), *lines, *deadline, *upper])


def _description(run: RunRecords) -> str:
    """What the figure says, in words."""
    middle = median(record.measured.latency_s for record in run.records)
    parts = [f"The median latency is {show_seconds(middle)}"]
    for side, times in (
        ("device-only", [record.device_only_s for record in run.records if record.device_only_s is not None]),
        ("server-only", [record.server_only_s for record in run.records if record.server_only_s is not None]),
    ):
        if times:
            parts.append(f"{side} would have taken {show_seconds(median(times))} as predicted")
    return "; ".join(parts) + "."
