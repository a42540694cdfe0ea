"""One connection: closed when a header takes too long or an answer is not read, and told in one line when it speaks no HTTP.

aiohttp itself closes a connection that is silent, but not one whose header comes byte by byte, nor one that asks and does not
read.
"""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import Any, TypedDict

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestPayloadError

from cic.errors import InputError, ProtocolError
from cic.protocol.answer import write_failure
from cic.serving.intake import ComingBody, Intake
from cic.serving.server_options import ServerOptions

_LONGEST_LINE = 8190
# Read ahead of a handler that is about to copy it: more would be memory that a peer takes before anything is checked.
_READ_AHEAD_BYTES = 256 << 10
# A refused body is read on for that long, so that its sender sees the refusal before the connection is closed.
_LINGERING_S = 1.0
# Whoever has been silent for less may be about to ask.
_LEAST_IDLE_S = 0.5
# Where aiohttp keeps the parser of a connection, which it does not promise.
_PARSER = "_parser"


class _Parsing(TypedDict):
    max_line_size: int
    max_field_size: int
    max_headers: int
    auto_decompress: bool


# Of the first parser of a connection, and of those after it.
_PARSING: _Parsing = {
    "max_line_size": _LONGEST_LINE,
    "max_field_size": _LONGEST_LINE,
    "max_headers": 64,
    "auto_decompress": False,
}


class Connection(web.RequestHandler):
    """aiohttp's handler of a connection, with the patience of `options`. busy: from a whole header until its answer.

    transports: those of all connections, this one while it is not closed to the last byte.
    """

    __slots__ = (
        "_awaited",
        "_header_timer",
        "_idle_since_s",
        "_intake",
        "_open",
        "_options",
        "_peer_ended",
        "_reading_timer",
        "_server",
        "_transports",
        "_unread_bytes",
        "busy",
    )

    def __init__(
        self, server: web.Server, options: ServerOptions, transports: set[asyncio.BaseTransport], desk: bytearray
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=options.idle_timeout_s,
            access_log=None,  # type: ignore[arg-type] # aiohttp asks whether there is one
            lingering_time=_LINGERING_S,
            read_bufsize=_READ_AHEAD_BYTES,
            **_PARSING,
        )
        self._server, self._options = server, options
        self._idle_since_s: float | None = None
        self._intake = Intake(self, desk)
        self._transports = transports
        self._open: asyncio.BaseTransport | None = None
        self._header_timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None
        self._unread_bytes = 0
        self._awaited: asyncio.Future[Any] | None = None
        self._peer_ended = False
        self.busy = False

    @property
    def intake(self) -> Intake:
        """What the transport is to talk to."""
        return self._intake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open = transport
        self._transports.add(transport)
        if len(self._transports) > self._options.connections and not self._close_longest_idle():
            self.force_close()
        self._idle_since_s = self._loop.time()
        self._check_reading()

    def _close_longest_idle(self) -> bool:
        """Make room for this connection by the end of one that nobody waits for; False if there is none.

        A client that kept it finds it closed as after the idle timeout, and makes another.
        """
        least_s = self._loop.time() - _LEAST_IDLE_S
        idle = [
            (each._idle_since_s, each)
            for each in self._server.connections
            if isinstance(each, Connection) and each._idle_since_s is not None and each._idle_since_s < least_s
        ]
        if not idle:
            return False
        longest = min(idle, key=itemgetter(0))[1]
        longest._idle_since_s = None
        longest.force_close()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        if self._reading_timer is not None:
            self._reading_timer.cancel()
        if self._open is not None:
            self._transports.discard(self._open)
        super().connection_lost(exc)

    def force_close(self) -> None:
        """As aiohttp's, but what closes is not told again: asyncio's TLS then loses its socket, which stays open."""
        if self.transport is not None and self.transport.is_closing():
            self.transport = None
        super().force_close()

    def data_received(self, data: bytes) -> None:
        self._idle_since_s = None
        if self._header_timer is None and not self.busy:
            self._header_timer = self._loop.call_later(self._options.header_timeout_s, self.force_close)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override] # aiohttp's closes the connection whatever waits
        """Its peer sends no more: whether the connection is kept until all that was asked is answered; TLS cannot be.

        An inference is not computed: who waits for it after that looks as who is gone.
        """
        if self._open is None or self._open.get_extra_info("sslcontext") is not None:
            return False
        if self._waiter is not None and not self._waiter.done():  # for the next request
            return False
        self._peer_ended, self._lingering_time = True, 0.0
        self._give_up()
        self._close_after_last()
        return True

    def awaits(self, answer: asyncio.Future[Any]) -> None:
        """The request that is handled waits for this, which ends with ProtocolError where the peer sends no more."""
        self._awaited = answer
        self._give_up()

    def _give_up(self) -> None:
        if self._peer_ended and self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(
                ProtocolError("the client closed its side of the connection before the answer; keep it open until then", 499)
            )

    def _close_after_last(self) -> None:
        if self._peer_ended and not self._messages:
            self.close()

    def began(self, *, in_chunks: bool) -> None:
        """A request's header is here. in_chunks: its body is, which is never read."""
        # To find the end of a hundred thousand chunks takes longer than to compute an answer.
        self._lingering_time = 0.0 if in_chunks or self._peer_ended else _LINGERING_S
        self.busy = True
        self._stop_timer()
        self.writes()

    def take_body(self, request: web.BaseRequest, body: ComingBody) -> None:
        """The rest of the body of the request that is handled is to come without aiohttp, until it is whole or forgotten."""
        self._intake.take(body, lambda: self._expect_next(request))

    def forget_body(self) -> None:
        self._intake.forget()

    def _expect_next(self, request: web.BaseRequest) -> None:
        """Its body is whole. Another request can follow, with a parser that does not wait for what it never saw."""
        if self._parser is not None:
            request.content.feed_eof()
            self._parser = HttpRequestParser(
                self,
                self._loop,
                _READ_AHEAD_BYTES,
                payload_exception=RequestPayloadError,
                max_msg_queue_size=MAX_MSG_QUEUE_SIZE,
                **_PARSING,
            )

    def ended(self) -> None:
        """Its answer is made."""
        self.busy, self._awaited = False, None
        self._close_after_last()
        self._idle_since_s = self._loop.time()

    def writes(self) -> None:
        """More is about to be written, which the peer has not had time to read yet."""
        self._unread_bytes = 0

    def _check_reading(self) -> None:
        """End the connection if its peer has read too little since the last look, of what waits to be sent."""
        transport, options = self._open, self._options
        if not isinstance(transport, asyncio.WriteTransport):
            return
        unread, before = transport.get_write_buffer_size(), self._unread_bytes
        if unread and before and unread > before - options.least_bytes_per_s * options.body_timeout_s:
            transport.abort()
            return
        self._unread_bytes = unread
        self._reading_timer = self._loop.call_later(options.body_timeout_s, self._check_reading)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Say that a message is no HTTP, without its bytes; as aiohttp's own, it ends the connection."""
        self._stop_timer()
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if isinstance(exc, LineTooLong):
            return refusal(431, "a line of the header is too long")
        return refusal(status, "this is not HTTP/1.1 as it is spoken here" if status == 400 else "the server failed")


def check_aiohttp() -> None:
    """Raises InputError for a version of aiohttp whose connections are made otherwise than those with which this was tried."""
    if not hasattr(web.RequestHandler, _PARSER):
        raise InputError(f"aiohttp {aiohttp.__version__} keeps no {_PARSER}; install a version from 3.14.5 on, below 4")


def refusal(status: int, message: str, headers: dict[str, str] | None = None, *, close: bool = True) -> web.Response:
    """An answer that says in one line why there is none. close: the connection too, as what follows cannot be made out."""
    headers = {"Server": "cic", "Content-Type": "application/json", **(headers or {})}
    response = web.Response(body=write_failure(message), status=status, headers=headers)
    if close:
        response.force_close()
    return response
