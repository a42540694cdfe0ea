"""A record of one inference: what was decided and why, what was predicted, and how long it took. One line of JSON each.

Standard library only. Fields that a later version adds are ignored by this one, so that old reports read new records.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from cic.decision.conditions import Conditions
from cic.errors import CicWarning, InputError, UnitError
from codegen.checked_json import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

VERSION = 1
REMOTE, LOCAL, FALLBACK = "remote", "local", "fallback"
CONDITIONS = ("uplink_bps", "downlink_bps", "rtt_s", "device_slowdown", "server_slowdown")
_LONGEST_LINE = 1 << 20
_START = b'{"version":'
LARGEST_FILE_BYTES = 64 << 20
"""Of a file of records, before it becomes the older one and a new one begins: more than 60,000 inferences."""
_WRITER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
TERMS = ("device_s", "uplink_s", "server_s", "downlink_s", "rtt_s", "latency_s")


@dataclass(frozen=True, slots=True)
class Terms:
    """The seconds of one inference by part, and from start to answer. None: a part that was not measured.

    server_s is the time that the server itself needed, waiting in its queue and decoding included. Parts of a remote attempt
    that was given up are not measured, but latency_s is, and contains them.
    """

    device_s: float | None
    uplink_s: float | None
    server_s: float | None
    downlink_s: float | None
    rtt_s: float | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """One inference.

    request_id: as it was sent to the server. started_s: of `time.monotonic`. wall_time_s: Unix time at the start.
    cut_id, codecs: what was decided first; a name for each crossing tensor, none if all cross as they are.
    why: the reason of the decision, for people.
    conditions: as estimated when it was decided. predicted: of the cut, for these. device_only_s, server_only_s: predicted for
        the same, the fastest with any codec; None where the splitting model has no such cut.
    measured: what it took. upload_bytes, download_bytes: sent and received, with headers.
    outcome: "remote", "local" (the cut is device-only), or "fallback: " and why the device computed the answer after all.
    deadline_s: seconds from the start that the answer was due in, or None. upper_s: it was said to take at most so long in 95
        of 100 cases (`cic.session.intervals`); None where nothing could be said, and in records of older versions.
    """

    request_id: str
    started_s: float
    wall_time_s: float
    cut_id: str
    codecs: tuple[str, ...]
    why: str
    conditions: Conditions
    predicted: Terms
    device_only_s: float | None
    server_only_s: float | None
    measured: Terms
    upload_bytes: int
    download_bytes: int
    outcome: str
    deadline_s: float | None = None
    upper_s: float | None = None

    @property
    def kind(self) -> str:
        """The outcome without its reason."""
        return self.outcome.partition(":")[0]

    @property
    def reason(self) -> str:
        """Of a fallback; otherwise empty."""
        return self.outcome.partition(":")[2].strip()

    @property
    def bounded(self) -> bool | None:
        """Did it take at most as long as was said before? None where nothing was said."""
        return None if self.upper_s is None else self.measured.latency_s <= self.upper_s


def line_of(record: Record) -> str:
    """The record as one line of JSON with its end of line.

    Raises:
        ValueError: a number of it is not finite.
    """
    fields = {"version": VERSION, **{name: getattr(record, name) for name in Record.__slots__}}
    fields["conditions"] = dict(zip(CONDITIONS, record.conditions.numbers, strict=True))
    for name in ("predicted", "measured"):
        terms = fields[name]
        fields[name] = {term: getattr(terms, term) for term in TERMS}
    return _WRITER.encode(fields) + "\n"


def record_of(line: bytes | str) -> Record:
    """The record that a line holds.

    Raises:
        InputError: the line is no record, or of another version; names the field.
    """
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is no JSON: {error}") from error
    fields = Fields(value, error=InputError)
    if (version := fields.count("version")) != VERSION:
        raise InputError(f"the record is of version {version}, this CIC reads version {VERSION}; make the report with that CIC")
    outcome = fields.text("outcome")
    if outcome.partition(":")[0] not in (REMOTE, LOCAL, FALLBACK):
        raise fields.unfit("outcome", outcome, f"{REMOTE}, {LOCAL} or {FALLBACK}: and a reason")
    return Record(
        request_id=fields.text("request_id"),
        started_s=fields.number("started_s"),
        wall_time_s=fields.number("wall_time_s"),
        cut_id=fields.text("cut_id"),
        codecs=fields.texts("codecs"),
        why=fields.text("why"),
        conditions=_conditions(fields.object("conditions")),
        predicted=_terms(fields.object("predicted")),
        device_only_s=_time(fields, "device_only_s"),
        server_only_s=_time(fields, "server_only_s"),
        measured=_terms(fields.object("measured")),
        upload_bytes=fields.count("upload_bytes"),
        download_bytes=fields.count("download_bytes"),
        outcome=outcome,
        deadline_s=_time(fields, "deadline_s"),
        upper_s=_time(fields, "upper_s") if "upper_s" in fields else None,
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _conditions(fields: Fields) -> Conditions:
    try:
        return Conditions(*[fields.number(name) for name in CONDITIONS])
    except UnitError as error:
        raise InputError(f"{fields.where}: {error}") from error


def _terms(fields: Fields) -> Terms:
    device_s, uplink_s, server_s, downlink_s, rtt_s = (_time(fields, name) for name in TERMS[:-1])
    return Terms(device_s, uplink_s, server_s, downlink_s, rtt_s, fields.number("latency_s", 0.0))


def _time(fields: Fields, name: str) -> float | None:
    return fields.maybe(lambda field: fields.number(field, 0.0), name)


def older_file(path: str | Path) -> Path:
    """Where the records are that a file of records had before it grew too large: its name with ".1" at the end."""
    return Path(f"{path}.1")


class RecordFile:
    """A file that records are appended to, one line each, as they come; usable from several threads.

    When it is full it takes the place of the older one, and a new one begins, so that both together have a bound.
    A line that an earlier process left unfinished is taken away first. A disk that is full stops the records and not the
    inferences: it is a warning.

    Raises:
        InputError: the file cannot be opened, is no regular one, or ends in something that is no record.
    """

    def __init__(self, path: str | Path, largest_bytes: int = LARGEST_FILE_BYTES) -> None:
        self._path, self._lock, self._largest_bytes = Path(path), threading.Lock(), largest_bytes
        try:
            file = self._opened()
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: records cannot be written: {getattr(error, 'strerror', None) or error}") from error
        self._file: int | None = file
        try:
            self._drop_unfinished_line(file)
        except BaseException:
            self.close()
            raise

    def _opened(self) -> int:
        # Without waiting: a named pipe would keep us until somebody reads it.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        return os.open(self._path, flags, 0o666)

    def _drop_unfinished_line(self, file: int) -> None:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{self._path}: records are written to regular files only; name one")
        start = max(0, found.st_size - _LONGEST_LINE)
        os.lseek(file, start, os.SEEK_SET)
        *whole, rest = os.read(file, found.st_size - start).split(b"\n")
        try:
            if whole:
                record_of(whole[-1])
            elif rest and not rest.startswith(_START):
                raise InputError("it begins otherwise")
        except InputError as error:
            raise InputError(f"{self._path} does not end in a record: {error}; name a new file, or one of records") from error
        if rest:
            os.ftruncate(file, found.st_size - len(rest))

    def write(self, record: Record) -> None:
        """Append a record."""
        content = line_of(record).encode()
        with self._lock:
            if self._file is None:
                return
            try:
                if os.fstat(self._file).st_size + len(content) > self._largest_bytes:
                    self._begin_anew()
                if os.write(self._file, content) == len(content):
                    return
                reason = "the disk is full"
            except OSError as error:
                reason = error.strerror or str(error)
            self._close()
        warnings.warn(f"{self._path}: no more records are written: {reason}", CicWarning, stacklevel=2)

    def _begin_anew(self) -> None:
        """Let the file be the older one, and go on in a new one. Raises OSError."""
        if self._file is not None and _is_at(self._file, self._path):
            os.replace(self._path, older_file(self._path))
        self._close()
        self._file = self._opened()

    def close(self) -> None:
        """Later records are not written."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _is_at(file: int, path: Path) -> bool:
    """Is the open file still there? Another process that writes to it may have moved it, and begun the next."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
