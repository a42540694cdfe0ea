"""The figure of the cut that was chosen over time, a lane for each, under the bandwidth that was estimated."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, short_name
from cic.decision.units import show_bandwidth
from cic.report.elements import element
from cic.report.plot import Plot, legend, picture
from cic.report.scales import Scale, logarithmic_scale, show_time, time_scale, time_ticks
from cic.session.record import FALLBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from cic.report.run_records import RunRecords
    from cic.session.record import Record

_LEFT, _RIGHT, _TOP, _MIDDLE = 190, 948, 30, 170
_WIDTH, _LANE = 960, 26
_MOST_LANES = 14
_OTHERS = "other cuts"
_LONGEST_NAME = 26


def label_of(record: Record) -> str:
    """The chosen cut with its codecs, as `Cut.label` names it."""
    codecs = ",".join(dict.fromkeys(short_name(name) for name in record.codecs))
    return f"{record.cut_id} {codecs}" if codecs else record.cut_id


def cut_figure(run: RunRecords) -> Element:
    """The bandwidth on top, under it the lanes of the cuts, from everything on the device to everything on the server."""
    labels = [label_of(record) for record in run.records]
    lanes = _lanes(run.records, labels)
    bottom = _MIDDLE + 30 + _LANE * len(lanes)
    x = time_scale(run.times_s[-1], _LEFT, _RIGHT)
    uplinks = [record.conditions.uplink_bps for record in run.records]
    bandwidth = Plot(x, logarithmic_scale(uplinks, _MIDDLE, _TOP))
    chosen = Plot(x, Scale(0.0, float(len(lanes)), _MIDDLE + 30, bottom))
    line = element("g", bandwidth.line(list(zip(run.times_s, uplinks, strict=True)), "uplink"), clip_path="url(#cuts-clip)")
    title = "Cut chosen over time, under the bandwidth"
    parts = [
        bandwidth.clip("cuts-clip"),
        bandwidth.vertical_axis(bandwidth.y.ticks, show_bandwidth, "uplink, as estimated (logarithmic)"),
        bandwidth.horizontal_axis(time_ticks(x), lambda _: ""),
        line,
        _grid(chosen, time_ticks(x)),
        *(_lane(run, chosen, lane, labels, lanes) for lane in range(len(lanes))),
    ]
    parts.append(_fallbacks(run, chosen, labels, lanes))
    shown = picture("cuts", (_WIDTH, bottom + 44), title, _description(run, labels), *parts)
    entries = [("line", "uplink", "estimated uplink"), ("span", "chosen", "cut chosen")]
    if any(record.kind == FALLBACK for record in run.records):
        entries.append(("crosses", "fallback", "a fallback to the device"))
    return element(
        "figure", element("figcaption", title), legend(entries), shown, element("p", _description(run, labels), class_="note")
    )


def _lanes(records: Sequence[Record], labels: Sequence[str]) -> list[str]:
    """Labels from top to bottom: device-only, by what is uploaded, server-only; those that are rare share the last lane."""
    often = [label for label, _ in Counter(labels).most_common()]
    kept = set(often if len(often) <= _MOST_LANES else often[: _MOST_LANES - 1])
    uploads: dict[str, list[int]] = {label: [] for label in kept}
    places: dict[str, int] = {}
    for record, label in zip(records, labels, strict=True):
        if label in kept:
            uploads[label].append(record.upload_bytes)
            places[label] = {DEVICE_ONLY: 0, SERVER_ONLY: 2}.get(record.cut_id, 1)
    ordered = sorted(kept, key=lambda label: (places[label], median(uploads[label]), label))
    return ordered if len(kept) == len(often) else [*ordered, _OTHERS]


def _grid(plot: Plot, ticks: Sequence[float]) -> Element:
    """Time below, and a line between lanes."""
    lines = plot.horizontal_axis(ticks, show_time, "time since the first inference")
    left, _, width, _ = plot.box
    drawn = element("g", class_="axis")
    for lane in range(int(plot.y.high) + 1):
        drawn.append(element("path", d=f"M{left:g} {plot.y.start + lane * _LANE:g}h{width:g}"))
    return element("g", lines, drawn)


def _lane(run: RunRecords, plot: Plot, lane: int, labels: Sequence[str], lanes: Sequence[str]) -> Element:
    name, named = lanes[lane], set(lanes)
    holds = [label == name if label in named else name == _OTHERS for label in labels]
    top = plot.y.start + lane * _LANE
    drawn = element("g", class_="chosen")
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    drawn.append(element("text", element("title", name), short, x=_LEFT - 8, y=top + _LANE / 2 + 4, text_anchor="end"))
    for left, width, count in plot.spans(run.times_s, holds):
        told = element("title", f"{name}: {count} inferences")
        drawn.append(element("rect", told, x=left, y=top + 5, width=width, height=_LANE - 10))
    return drawn


def _fallbacks(run: RunRecords, plot: Plot, labels: Sequence[str], lanes: Sequence[str]) -> Element:
    """Crosses on the lane of the cut that was tried."""
    lane_of = {label: place + 0.5 for place, label in enumerate(lanes)}
    others = len(lanes) - 0.5
    rows = zip(run.times_s, run.records, labels, strict=True)
    return plot.crosses(
        [(time, lane_of.get(label, others)) for time, record, label in rows if record.kind == FALLBACK], "fallback"
    )


def _description(run: RunRecords, labels: Sequence[str]) -> str:
    """What the figure says, in words."""
    uplinks = [record.conditions.uplink_bps for record in run.records]
    low, high = show_bandwidth(min(uplinks)), show_bandwidth(max(uplinks))
    (most, often), *_ = Counter(labels).most_common(1)
    switches = sum(before != after for before, after in pairwise(labels))
    return (
        f"The uplink was between {low} and {high}. Of the {len(set(labels))} cuts that were chosen, {most} was most often "
        f"({often / len(labels):.0%}); the choice changed {switches} times."
    )
