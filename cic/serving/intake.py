"""What a socket receives: headers by way of aiohttp, a body straight into the memory that is computed on.

aiohttp's own way of a body copies it four times, in pieces; here the kernel writes each byte to its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from cic.errors import ProtocolError
from cic.serving.body_room import BodyRoom

# For aiohttp to parse at once: enough for a header, and little of a body goes the long way.
AT_ONCE_BYTES = 16 << 10
_END_OF_HEADER = b"\r\n\r\n"
# So many pieces are made of what is parsed at once; more would take longer than to answer.
_MOST_PIECES = 64


class ComingBody:
    """A body on its way to `rest`, which shrinks as bytes come; they are taken of the room.

    length: of all of it, with what was there before. done: set when all is there, or to the error that ends it. Whoever sends
    fewer than least_bytes in any patience_s is too slow.
    """

    def __init__(self, rest: memoryview, length: int, room: BodyRoom, patience_s: float, least_bytes: float) -> None:
        self.rest, self._length, self._room = rest, length, room
        self._patience_s, self._least_bytes = patience_s, least_bytes
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_later(patience_s, self._check_rate, len(rest))

    def came(self, count: int) -> None:
        self.rest = self.rest[count:]
        self._room.taken += count
        try:
            self._room.check()
        except ProtocolError as error:
            self.end(error)
        if not self.rest:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """No more is waited for, because of an error or as all is there."""
        self._timer.cancel()
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)

    def cut_short(self) -> ProtocolError:
        """What is said where its sender sends no more."""
        came = self._length - len(self.rest)
        return ProtocolError(f"the client closed its side of the connection after {came} of {self._length} bytes", 499)

    def _check_rate(self, before: int) -> None:
        left = len(self.rest)
        if before - left < self._least_bytes:
            rate = self._least_bytes / self._patience_s
            message = f"{self._length - left} of {self._length} bytes came in time; {rate:g} a second are expected"
            self.end(ProtocolError(message, 408))
        else:
            self._timer = self._loop.call_later(self._patience_s, self._check_rate, left)


class Parsing(Protocol):
    """aiohttp's handler of a connection, as `cic.serving.connection.Connection` makes it."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Intake(asyncio.BufferedProtocol):
    """Stands between a transport and aiohttp's handler of its connection.

    desk: memory for what is parsed next. All connections of a loop share it, as it is parsed as soon as it is there.
    """

    def __init__(self, connection: Parsing, desk: bytearray) -> None:
        self._connection, self._desk = connection, memoryview(desk)
        self._body: ComingBody | None = None
        self._whole: Callable[[], object] = lambda: None
        self._last = b""
        self._ended = False

    def take(self, body: ComingBody, whole: Callable[[], object]) -> None:
        """What comes next is that body's, until `forget` is called or it is whole, which is told before any more is read."""
        self._body, self._whole, self._last = body, whole, b""
        if self._ended:
            body.end(body.cut_short())

    def forget(self) -> None:
        self._body = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._desk if self._body is None else self._body.rest

    def buffer_updated(self, nbytes: int) -> None:
        if self._body is None:
            for piece in self._pieces(bytes(self._desk[:nbytes])):
                self._connection.data_received(piece)
            return
        self._body.came(nbytes)
        if not self._body.rest:
            # At once: over TLS what follows may be read before whoever waits for the body goes on.
            self._whole()
        if self._body.done.done():
            self.forget()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """What is to be parsed, cut wherever a header may end.

        aiohttp forgets the requests that it has read in a piece if what follows in it is no HTTP, and whatever follows a
        request for another protocol in its piece.
        """
        before, begin = len(self._last), 0
        seen = self._last + data
        self._last = seen[1 - len(_END_OF_HEADER) :]
        place = seen.find(_END_OF_HEADER)
        for _ in range(_MOST_PIECES):
            end = place + len(_END_OF_HEADER) - before
            if place < 0 or end == len(data):
                break
            yield data[begin:end]
            begin, place = end, seen.find(_END_OF_HEADER, place + 1)
        yield data[begin:]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._body is not None:
            self._body.end(ConnectionResetError("the peer went away"))
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def eof_received(self) -> bool:
        self._ended = True
        if self._body is not None:
            self._body.end(self._body.cut_short())
        return self._connection.eof_received()
