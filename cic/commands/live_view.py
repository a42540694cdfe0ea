"""Inferences as they come: a line each in a pipe, and with rich a table on a terminal, which stays in its place."""

from __future__ import annotations

import sys
import threading
from collections import Counter, deque
from contextlib import contextmanager
from statistics import median

from cic.commands.terminal import room
from cic.decision.cut import short_name
from cic.decision.units import show_bandwidth, show_bytes, show_seconds
from cic.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from cic.session.record import Record

_SHOWN = 12
# As many as the median is taken of.
_RECENT = 200
_COLUMNS = ("cut", "outcome", "latency", "predicted", "device-only", "server-only", "uplink", "sent")
_WORDS = ("cut", "outcome")
# Columns that narrow terminals have no room for beside names of cuts that nobody wants broken.
_LEFT_OUT, _WIDE = ("device-only", "server-only"), 110


@contextmanager
def shown_records() -> Iterator[Callable[[Record], None]]:
    """A function that shows each record it is given, on the standard output."""
    if not sys.stdout.isatty():
        yield _print_line
        return
    try:
        from rich.live import Live
    except ImportError:
        yield _print_line
        return
    seen = Seen()
    # Drawn when it is shown, as drawing it for each inference would slow those.
    with Live(get_renderable=seen.table, refresh_per_second=8):
        yield seen.add


class Seen:
    """What a live table shows: the last few inferences, and figures of all that came. It is drawn by a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: deque[Record] = deque(maxlen=_SHOWN)
        self._latencies_s: deque[float] = deque(maxlen=_RECENT)
        self._kinds: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Count an inference, and show it."""
        with self._lock:
            self._last.append(record)
            self._latencies_s.append(record.measured.latency_s)
            self._kinds[record.kind] += 1

    @property
    def heading(self) -> str:
        """The figures in one line."""
        with self._lock:
            kinds, latencies_s = dict(self._kinds), list(self._latencies_s)
        if not kinds:
            return "waiting for the first inference"
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"{sum(kinds.values())} inferences ({counts}); recent median {show_seconds(median(latencies_s))}"

    def table(self) -> Table:
        """The table as it is now, the newest inference last, and its reason under it."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            last = list(self._last)
        # Text, so that a bracket in a name is not read as markup.
        why = Text(printable(last[-1].why)) if last else None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(self.heading), title_justify="left", caption=why)
        width = room()
        shown = [column for column in _COLUMNS if width is None or width >= _WIDE or column not in _LEFT_OUT]
        for column in shown:
            table.add_column(column, justify="left" if column in _WORDS else "right", no_wrap=column != "outcome")
        for record in last:
            cells = dict(zip(_COLUMNS, _cells(record), strict=True))
            table.add_row(*(Text(cells[column]) for column in shown))
        return table


def _print_line(record: Record) -> None:
    cut, outcome, latency, predicted, _, _, uplink, sent = _cells(record)
    # Whoever reads the pipe sees each inference when it ends.
    print(f"{cut}  {latency}, predicted {predicted}, at {uplink}, sent {sent}, {outcome}", flush=True)


def _cells(record: Record) -> tuple[str, ...]:
    codecs = ",".join(dict.fromkeys(short_name(name) for name in record.codecs))
    extremes = (record.device_only_s, record.server_only_s)
    return (
        printable(f"{record.cut_id} {codecs}".rstrip()),
        # A server may have worded it, and a terminal would obey what it does not print.
        printable(record.outcome),
        show_seconds(record.measured.latency_s),
        show_seconds(record.predicted.latency_s),
        *("" if time_s is None else show_seconds(time_s) for time_s in extremes),
        show_bandwidth(record.conditions.uplink_bps),
        show_bytes(record.upload_bytes),
    )
