"""The records of a run as they were written, read back line by line, and laid out on one axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cic.session.record import FALLBACK
from cic.session.record_reading import read_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cic.session.record import Record

# A record is written when its inference ends, so records that overlap may stand in another order than they began. None
# takes this long; a clock that is set back further is that of a device that was started anew.
_OVERLAP_S = 3600.0


@dataclass(frozen=True, slots=True)
class RunRecords:
    """What was read of one file.

    name: of the file. records: in the order of their start. times_s: by record, seconds since the first one's start.
    unfinished: the last line was cut off, as a process leaves it that is killed while it writes, and is left out.
    """

    name: str
    records: tuple[Record, ...]
    times_s: tuple[float, ...]
    unfinished: bool = False

    @property
    def timed(self) -> tuple[tuple[float, Record], ...]:
        """Each record with its time."""
        return tuple(zip(self.times_s, self.records, strict=True))

    @property
    def answered(self) -> tuple[Record, ...]:
        """The records whose cut was run as predicted: all but the fallbacks."""
        return tuple(record for record in self.records if record.kind != FALLBACK)


def read_run(path: str | Path) -> RunRecords:
    """Read a file that a session wrote its records to, after the older one that it grew out of, if there is one.

    Raises:
        InputError: it cannot be read, holds no record, or a line is none; names the file and the line.
    """
    records, unfinished = read_records(path)
    placed = sorted(zip(_times_s(records), records, strict=True), key=lambda pair: pair[0])
    times_s = tuple(time_s - placed[0][0] for time_s, _ in placed)
    return RunRecords(Path(path).name, tuple(record for _, record in placed), times_s, unfinished)


def _times_s(records: Sequence[Record]) -> list[float]:
    """Seconds on one axis. After a device was started anew, whose clock began at 0 again, the wall clock tells the pause."""
    times_s, shift_s, last = [], 0.0, records[0]
    for record in records:
        if record.started_s < last.started_s - _OVERLAP_S:
            pause_s = max(record.wall_time_s - last.wall_time_s, last.measured.latency_s)
            shift_s += last.started_s + pause_s - record.started_s
        if record.started_s > last.started_s or record.started_s < last.started_s - _OVERLAP_S:
            last = record
        times_s.append(record.started_s + shift_s)
    return times_s
