"""One connection of HTTP/1.1 that is kept open: a request goes out as buffers, the whole exchange has a deadline and is timed.

The reply is read by `http.client`. The request is sent from here, since the tensor's memory is to go to the socket as it is,
and since each wait must end at the deadline, also if the other side trickles. On Linux the kernel holds few bytes that were not
sent yet, so the end of the upload is seen when it happens, and is asked how many bytes have not arrived.
"""

from __future__ import annotations

import io
import selectors
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import Any

from cic.codec.codec import Payload
from cic.decision.units import show_seconds
from cic.errors import LinkError
from cic.protocol.checked_json import one_line
from cic.session.abandon_rule import Progress
from cic.session.server_address import ServerAddress

_NOT_SENT_BYTES = 32_768
# Of a body that comes in chunks, whose size is not said before.
_PIECE_BYTES = 65_536
_MOST_BUFFERS = 64
# To TLS in one call: several records, so that a wait for the socket is not longer than it must be.
_RECORDS_BYTES = 262_144
_RECORD_BYTES = 16_000
_TIOCOUTQ = 0x5411
# Of a reply besides its body: headers, the sizes of chunks, and what comes before the reply itself.
_MOST_AROUND_BYTES = 1 << 20
_LONGEST_REASON = 200

# `select` takes no file numbers over 1023, and epoll would need a file of its own for each look.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)

Look = Callable[[Progress], "float | None"]
"""Asked when an exchange takes longer than it was given: until when to wait, in seconds since it began; None: no longer."""


class OverdueError(LinkError):
    """The exchange took longer than it was given. arrived_bytes: of the upload; elapsed_s: how long it was.

    slow_link: some of the upload arrived, and not all of it, so the link is slow, and of the server nothing is known.
    """

    def __init__(self, message: str, arrived_bytes: int, total_bytes: int, elapsed_s: float) -> None:
        super().__init__(message)
        self.arrived_bytes, self.elapsed_s = arrived_bytes, elapsed_s
        self.slow_link = 0 < arrived_bytes < total_bytes


class StaleError(LinkError):
    """The connection was closed by the other side before any of a reply came, as happens to one that was idle for long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """status, headers (names in lower case), body: of the reply. Seconds count from the beginning of the upload: sent_s to its
    end, first_byte_s and last_byte_s of the reply. bytes_up, bytes_down: all of HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytearray
    sent_s: float
    first_byte_s: float
    last_byte_s: float
    bytes_up: int
    bytes_down: int


class HttpConnection:
    """A connection to `address`. Used by one thread at a time; after an error it is closed and of no further use.

    Raises:
        OverdueError: it is not there within `patience_s`. LinkError: it is refused, or TLS does not come about.
    """

    def __init__(self, address: ServerAddress, places: Sequence[tuple[int, tuple[Any, ...]]], patience_s: float) -> None:
        self._address = address
        self.used = False
        """Has it carried an exchange?"""
        self._socket = _connected(address, places, patience_s)
        self._reader = _Reader(self._socket)

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        buffers: Sequence[Payload],
        *,
        wait_s: float,
        largest_bytes: int,
        look: Look | None = None,
        turn: AbstractContextManager[Any] | None = None,
    ) -> Reply:
        """Send a request and receive the reply.

        Args:
            path: below the path of the address.
            headers: with the length of the body, if there is one.
            wait_s: how long it may take; then `look` is asked, if there is one, whether to wait longer.
            largest_bytes: of the reply's body.
            turn: entered while the request is sent.

        Raises:
            OverdueError: it took longer. StaleError: see there.
            LinkError: the connection broke, or what came is no reply of HTTP or too large.
        """
        head = f"{method} {self._address.path}{path} HTTP/1.1\r\n{self._address.common_headers}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        views = [memoryview(f"{head}{lines}\r\n".encode("ascii")), *(memoryview(each).cast("B") for each in buffers)]
        try:
            with turn or nullcontext():
                clock = _Clock(self._socket, sum(map(len, views)), wait_s, look)
                self._reader.begin(clock, largest_bytes + _MOST_AROUND_BYTES)
                sent_s = self._send(views, clock)
            reply = self._receive(method, largest_bytes, clock)
        except BaseException as error:
            self._abort()
            if isinstance(error, LinkError):
                raise
            if isinstance(error, (OSError, HTTPException, ValueError)):
                raise self._error_of(error) from error
            raise
        self.used = True
        status, got, body, keeps = reply
        last_s = clock.elapsed_s()
        if not keeps or self._reader.pending():
            self.close()
        return Reply(status, got, body, sent_s, clock.first_byte_s or last_s, last_s, clock.total_bytes, self._reader.received)

    @property
    def open(self) -> bool:
        """May it be used again? Nothing may have come since the last reply, and the other side not have closed it."""
        if self._socket.fileno() < 0:
            return False
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return False
        try:
            return not _readable(self._socket, 0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _abort(self) -> None:
        """Close, and take back what was not sent yet: it would only be in the way of what comes next."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _send(self, views: list[memoryview], clock: _Clock) -> float:
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                self._send_pieces(views, clock)
            else:
                self._send_together(views, clock)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a request by its first bytes replies and closes; its reply may have arrived.
            if self._reader.pending_now():
                return clock.elapsed_s()
            raise
        return clock.elapsed_s()

    def _send_together(self, views: list[memoryview], clock: _Clock) -> None:
        views = [view for view in views if len(view)]
        while views:
            count = clock.waiting(partial(self._socket.sendmsg, views[:_MOST_BUFFERS]))
            clock.unsent_bytes -= count
            while views and count >= len(views[0]):
                count -= len(views.pop(0))
            if count:
                views[0] = views[0][count:]

    def _send_pieces(self, views: list[memoryview], clock: _Clock) -> None:
        """Through TLS each call makes a record, so what is small goes with the beginning of what is not."""
        joined = bytearray()
        for view in views:
            room = max(0, _RECORD_BYTES - len(joined))
            joined += view[:room]
            if len(view) > room:
                self._send_all(memoryview(joined), clock)
                self._send_all(view[room:], clock)
                joined = bytearray()
        self._send_all(memoryview(joined), clock)

    def _send_all(self, view: memoryview, clock: _Clock) -> None:
        while len(view):
            count = clock.waiting(partial(self._socket.send, view[:_RECORDS_BYTES]))
            clock.unsent_bytes -= count
            view = view[count:]

    def _receive(self, method: str, largest_bytes: int, clock: _Clock) -> tuple[int, dict[str, str], bytearray, bool]:
        response = HTTPResponse(self._reader, method=method)  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        body = bytearray()
        if response.length is not None:
            if response.length > largest_bytes:
                raise LinkError(f"{self._address} replies with {response.length} bytes, at most {largest_bytes} are accepted")
            body = bytearray(response.length)
            view, got = memoryview(body), 0
            while got < len(body):
                count = response.readinto(view[got:])
                if not count:
                    raise LinkError(f"{self._address} closed the connection after {got} of {len(body)} bytes of its reply")
                got += count
        elif response.chunked:
            while piece := response.read(_PIECE_BYTES):
                body += piece
                if len(body) > largest_bytes:
                    raise LinkError(f"{self._address} replies with more than the {largest_bytes} bytes that are accepted")
        else:
            raise LinkError(f"{self._address} does not say how long its reply is")
        return response.status, headers, body, not response.will_close

    def _error_of(self, error: Exception) -> LinkError:
        nothing_came = not self._reader.received
        if self.used and nothing_came and isinstance(error, (ConnectionError, HTTPException)):
            return StaleError(f"{self._address} had closed the connection, which was idle")
        if nothing_came and isinstance(error, (ConnectionError, HTTPException)):
            encrypted = isinstance(self._socket, ssl.SSLSocket)
            hint = "want a certificate that it trusts; give certificate=…" if encrypted else "speak TLS; write https"
            return LinkError(f"{self._address} closed the connection without a reply; it may {hint}")
        told = one_line(str(error), _LONGEST_REASON) or type(error).__name__
        return LinkError(f"the exchange with {self._address} broke: {told}")


class _Clock:
    """The time of one exchange: every wait is until its end, and ends with a look whether to go on."""

    def __init__(self, connection: socket.socket, total_bytes: int, wait_s: float, look: Look | None) -> None:
        self._socket, self.total_bytes, self._end_s, self._look = connection, total_bytes, wait_s, look
        self.unsent_bytes = total_bytes
        self.began_s = time.monotonic()
        self.first_byte_s: float | None = None

    def elapsed_s(self) -> float:
        return time.monotonic() - self.began_s

    def waiting(self, call: Callable[[], int]) -> int:
        """What `call` gives, which waits for the socket."""
        while True:
            left_s = self._end_s - self.elapsed_s()
            if left_s <= 0:
                self._ask()
                continue
            self._socket.settimeout(left_s)
            try:
                return call()
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue

    def _ask(self) -> None:
        elapsed_s, arrived = self.elapsed_s(), self.total_bytes - self._underway()
        later_s = None if self._look is None else self._look(Progress(elapsed_s, arrived, self.total_bytes))
        if later_s is None or later_s <= elapsed_s:
            raise OverdueError(
                f"the exchange took {show_seconds(elapsed_s)}, longer than it was given; "
                f"{arrived} of {self.total_bytes} bytes arrived",
                arrived,
                self.total_bytes,
                elapsed_s,
            )
        self._end_s = later_s

    def _underway(self) -> int:
        """Bytes of the upload that the other side has not confirmed; they may still be here."""
        if not sys.platform.startswith("linux") or self.first_byte_s is not None:
            return 0
        from fcntl import ioctl

        waiting = bytearray(4)
        with suppress(OSError):
            ioctl(self._socket.fileno(), _TIOCOUTQ, waiting)
        return min(self.total_bytes, self.unsent_bytes + int.from_bytes(waiting, sys.byteorder))


class _Reader(io.RawIOBase):
    """The socket as `http.client` reads it: a file whose reads end in time, and that knows when the first byte came."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._socket = connection
        self._clock: _Clock | None = None
        self._buffered: _Buffered | None = None
        self.received = self._most = 0

    def begin(self, clock: _Clock, most: int) -> None:
        """A new exchange begins, of whose reply at most so many bytes are read: `http.client` reads chunks of any size."""
        self._clock, self.received, self._most, self._buffered = clock, 0, most, None

    def makefile(self, _mode: str) -> _Buffered:
        self._buffered = _Buffered(self)
        return self._buffered

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int | None:
        clock = self._clock
        if clock is None:
            return None
        count = clock.waiting(partial(self._socket.recv_into, room))
        if clock.first_byte_s is None and count:
            clock.first_byte_s = clock.elapsed_s()
        self.received += count
        if self.received > self._most:
            raise LinkError(f"a reply of more than the {self._most} bytes that are accepted, with all that is around it")
        return count

    def pending(self) -> bool:
        """Did more come than the reply that was read?"""
        self._clock = None
        return self._buffered is not None and bool(self._buffered.peek(1))

    def pending_now(self) -> bool:
        """Can something be read without waiting?"""
        try:
            return _readable(self._socket, 0.05)
        except (OSError, ValueError):
            return False


class _Buffered(io.BufferedReader):
    """What `http.client` closes after each reply, though the next one comes by the same way."""

    def close(self) -> None:
        """Leave it open."""


def _readable(connection: socket.socket, wait_s: float) -> bool:
    """Can something be read, or has the other side closed? Also where the process has more than 1,024 files open."""
    with _Selector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(wait_s))


def _connected(address: ServerAddress, places: Sequence[tuple[int, tuple[Any, ...]]], patience_s: float) -> socket.socket:
    end_s = time.monotonic() + patience_s
    last: Exception | None = None
    for family, place in places:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            break
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(left_s)
            opened.connect(place)
            _prepare(opened)
            if address.security is None:
                return opened
            opened.settimeout(max(1e-3, end_s - time.monotonic()))
            return address.security.wrap_socket(opened, server_hostname=address.host)
        except (OSError, ValueError) as error:
            opened.close()
            last = error
    if last is None or isinstance(last, TimeoutError):
        raise OverdueError(f"{address} was not reached within {patience_s:.3g} s", 0, 0, patience_s)
    raise LinkError(f"{address} cannot be reached: {last}") from last


def _prepare(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)
