"""Tables of a page: what became of the inferences, what each cut did, and which inferences were the slowest."""

from __future__ import annotations

from collections import Counter
from statistics import median, quantiles

from cic.decision.units import show_bandwidth, show_bytes, show_seconds
from cic.report.cut_figure import label_of
from cic.report.elements import element
from cic.report.scales import show_time
from cic.session.record import FALLBACK, LOCAL, REMOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from cic.report.run_records import RunRecords
    from cic.session.record import Record

_SLOWEST = 10
_MOST_REASONS = 30
_MEANING = {REMOTE: "answered by the server", LOCAL: "decided for the device alone", FALLBACK: "fell back to the device"}


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ()) -> Element:
    """A table of texts; the columns named in `left` hold words. It scrolls by itself where the page is narrow."""
    sides = ["word" if column in left else "number" for column in columns]
    heads = [element("th", column, class_=side, scope="col") for column, side in zip(columns, sides, strict=True)]
    lines = [element("tr", *(element("td", cell, class_=side) for cell, side in zip(row, sides, strict=True))) for row in rows]
    body = element("table", element("caption", caption), element("thead", element("tr", *heads)), element("tbody", *lines))
    return element("div", body, class_="scrolls", role="region", aria_label=caption, tabindex="0")


def outcome_table(run: RunRecords) -> Element:
    """How many inferences ended how, and why those fell back that did."""
    kinds = Counter(record.kind for record in run.records)
    rows = [(_MEANING[kind], kinds[kind]) for kind in (REMOTE, LOCAL, FALLBACK)]
    reasons = Counter(record.reason or "no reason given" for record in run.records if record.kind == FALLBACK).most_common()
    rows += [(f"– {reason}", count) for reason, count in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        rows.append((f"– {len(reasons) - _MOST_REASONS} other reasons", sum(count for _, count in reasons[_MOST_REASONS:])))
    due = [record for record in run.records if record.deadline_s is not None]
    if due:
        rows.append((f"later than the deadline, of {len(due):,} with one", sum(late(record) for record in due)))
    total = len(run.records)
    return table(
        "How the inferences ended",
        ("outcome", "inferences", "share"),
        [(text, f"{count:,}", f"{count / total:.2%}") for text, count in rows],
        left=("outcome",),
    )


def late(record: Record) -> bool:
    """Was the answer there after its deadline?"""
    return record.deadline_s is not None and record.measured.latency_s > record.deadline_s


def cut_table(run: RunRecords) -> Element:
    """One line a cut that was chosen."""
    by_label: dict[str, list[Record]] = {}
    for record in run.records:
        by_label.setdefault(label_of(record), []).append(record)
    rows = [
        [
            label,
            f"{len(records):,}",
            f"{sum(record.kind == FALLBACK for record in records):,}",
            show_seconds(median(record.measured.latency_s for record in records)),
            show_seconds(high_share(record.measured.latency_s for record in records)),
            show_seconds(median(record.predicted.latency_s for record in records)),
            show_bytes(median(record.upload_bytes for record in records)),
            show_bytes(median(record.download_bytes for record in records)),
            show_bandwidth(median(record.conditions.uplink_bps for record in records)),
        ]
        for label, records in sorted(by_label.items(), key=lambda item: -len(item[1]))
    ]
    columns = ("cut", "inferences", "fallbacks", "median latency", "95th percentile", "predicted", "up", "down", "uplink")
    return table("Cuts that were chosen; times, bytes and uplinks are medians", columns, rows, left=("cut",))


def slowest_table(run: RunRecords) -> Element:
    """The slowest inferences, with the reason of each decision."""
    slowest = sorted(run.timed, key=lambda pair: -pair[1].measured.latency_s)[:_SLOWEST]
    rows = [
        [
            show_time(time),
            label_of(record),
            show_seconds(record.measured.latency_s),
            show_seconds(record.predicted.latency_s),
            show_bandwidth(record.conditions.uplink_bps),
            record.outcome,
            record.why,
        ]
        for time, record in slowest
    ]
    columns = ("at", "cut", "measured", "predicted", "uplink", "outcome", "why it was decided")
    return table("The slowest inferences", columns, rows, left=("cut", "outcome", "why it was decided"))


def high_share(values: Iterable[float]) -> float:
    """The 95th percentile."""
    given = list(values)
    return given[0] if len(given) == 1 else quantiles(given, n=20, method="inclusive")[-1]
