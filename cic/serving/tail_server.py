"""The server as a whole: it listens, loads all tails, is ready then, and ends when all that is in flight is answered."""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from aiohttp import web

from cic.errors import CicError, InputError, ProtocolError
from cic.serving.bearer_token import read_token
from cic.serving.body_room import BodyRoom, body_room
from cic.serving.connection import Connection, check_aiohttp
from cic.serving.encryption import tls_context
from cic.serving.endpoints import Endpoints
from cic.serving.inference_worker import STUCK, InferenceWorker
from cic.serving.intake import AT_ONCE_BYTES
from cic.serving.loaded_tails import LoadedTail
from cic.serving.server_options import ServerOptions

_USUAL = ServerOptions()
# How often it is looked whether an inference is stuck, and whether all is answered at the end.
_LOOK_S, _LOOK_AT_THE_END_S = 0.5, 0.01
_BACKLOG = 256
_LAST_WORDS_S, _GOODBYE_S = 1.0, 0.2


class TailServer:
    """Serves all tails of a bundle, until it is stopped.

    As a context manager it runs in a thread of its own, ready when the block begins, which suits tests and notebooks:

        with TailServer("model.split", ServerOptions(port=0)) as server:
            print(server.address)

    Raises:
        InputError: a file of the options cannot be used, or the address not be listened at.
        ArtifactError, EngineError: the bundle is damaged, or a tail cannot be loaded. Both when it starts.
    """

    def __init__(self, bundle: str | Path, options: ServerOptions = _USUAL) -> None:
        self.bundle, self.options = Path(bundle), options
        self._tls = tls_context(options)
        self._worker = InferenceWorker(options.queue)
        token = None if options.token_file is None else read_token(options.token_file)
        self.endpoints = Endpoints(options, token, self._worker, BodyRoom(0))
        self._port = options.port
        self._web: web.Server | None = None
        self._transports: set[asyncio.BaseTransport] = set()
        self._listening: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._told_to_end: Callable[[], object] = lambda: None

    @property
    def address(self) -> str:
        """Where it is reached, such as "http://127.0.0.1:8000"."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"http{'s' if self._tls else ''}://{host}:{self._port}"

    @property
    def models(self) -> dict[str, LoadedTail]:
        """The tails that are served, by the names of their models."""
        return self.endpoints.tails

    async def start(self) -> None:
        """Listen, then load all tails in the thread that will run them; afterwards it is ready. Errors as the class."""
        check_aiohttp()
        loop, options = asyncio.get_running_loop(), self.options
        server = self._web = web.Server(self.endpoints.handle, handler_cancellation=True, loop=loop)
        desk = bytearray(AT_ONCE_BYTES)
        handshake_s = options.header_timeout_s if self._tls else None
        try:
            self._listening = await loop.create_server(
                lambda: Connection(server, options, self._transports, desk).intake,
                options.host,
                options.port,
                ssl=self._tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=handshake_s,
            )
        except OSError as error:
            raise InputError(f"cannot listen at {options.host} port {options.port}: {error.strerror or error}") from error
        self._port = self._listening.sockets[0].getsockname()[1]
        tails = await asyncio.wrap_future(self._worker.start(self.bundle, options))
        self.endpoints.room = body_room(max(tail.largest_request_bytes for tail in tails.values()), options.queue)
        self.endpoints.tails = tails
        self._watch = loop.create_task(self._watch_worker())

    async def stop(self) -> None:
        """Refuse what is new, answer what is in flight within the grace of the options, and close everything."""
        self.endpoints.ending = True
        if self._listening is not None:
            self._listening.close()
        loop = asyncio.get_running_loop()
        last = loop.time() + self.options.grace_s
        while (busy := self._close_idle()) and loop.time() < last:
            await asyncio.sleep(_LOOK_AT_THE_END_S)
        if busy:
            self._worker.give_up_all(ProtocolError("the server ends", 503))
        if self._web is not None:
            await self._web.shutdown(_LAST_WORDS_S)
        await self._close_to_the_last_byte()
        if self._watch is not None:
            self._watch.cancel()
        self._worker.stop(_LAST_WORDS_S)

    async def _close_to_the_last_byte(self) -> None:
        """Let what was written go out for a moment; TLS would wait much longer for a peer to say goodbye."""
        loop = asyncio.get_running_loop()
        last = loop.time() + _GOODBYE_S
        while self._transports and loop.time() < last:
            await asyncio.sleep(_LOOK_AT_THE_END_S)
        for transport in list(self._transports):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await asyncio.sleep(_LOOK_AT_THE_END_S)

    def _close_idle(self) -> int:
        """Close connections on which nothing is in flight; how many are left."""
        connections = [] if self._web is None else self._web.connections
        for connection in connections:
            if isinstance(connection, Connection) and not connection.busy:
                connection.force_close()
        return sum(isinstance(connection, Connection) and connection.busy for connection in connections)

    async def _watch_worker(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self.endpoints.live:
                self._worker.give_up_all(ProtocolError(STUCK, 503))

    # ------------------------------------------------------------------------------------------- in a thread of its own

    def __enter__(self) -> TailServer:
        started: queue.SimpleQueue[CicError | None] = queue.SimpleQueue()

        def run() -> None:
            asyncio.run(self._serve_until_told(started.put))

        self._thread = threading.Thread(target=run, name="cic-server", daemon=True)
        self._thread.start()
        if (error := started.get()) is not None:
            self._thread.join()
            raise error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(RuntimeError):  # it has ended already
            self._told_to_end()
        if self._thread is not None:
            self._thread.join()

    async def _serve_until_told(self, started: Callable[[CicError | None], object]) -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._told_to_end = lambda: loop.call_soon_threadsafe(told.set)
        try:
            await self.start()
        except CicError as error:
            await self.stop()
            started(error)
            return
        started(None)
        await told.wait()
        await self.stop()


def serve(bundle: str | Path, options: ServerOptions, announce: Callable[[TailServer], None]) -> None:
    """Serve until SIGTERM or SIGINT comes, and end then as `TailServer.stop` does; `announce` is called when it is ready.

    Raises as TailServer does.
    """
    asyncio.run(_serve_until_signal(TailServer(bundle, options), announce))


async def _serve_until_signal(server: TailServer, announce: Callable[[TailServer], None]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no handlers in a loop
            loop.add_signal_handler(number, told.set)
    starting, ending = asyncio.ensure_future(server.start()), asyncio.ensure_future(told.wait())
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            announce(server)
            await ending
    finally:
        starting.cancel()
        ending.cancel()
        await server.stop()
