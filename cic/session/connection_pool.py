"""Connections to one server, kept for the next exchange: each carries one at a time, so there are as many as run at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from cic.codec.codec import Payload
from cic.errors import LinkError
from cic.session.abandon_rule import Progress
from cic.session.http_connection import HttpConnection, Look, Reply, StaleError
from cic.session.server_address import ServerAddress

MOST_IDLE = 4


class ConnectionPool:
    """Exchanges with one server. Thread-safe.

    A host that is a name is looked up by `connect` with `may_look_up`, never by `exchange`: name servers know no deadline.
    """

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self._places = address.resolved()
        self._idle: list[HttpConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        buffers: Sequence[Payload] = (),
        *,
        wait_s: float,
        largest_bytes: int,
        look: Look | None = None,
        turn: AbstractContextManager[Any] | None = None,
        may_look_up: bool = False,
    ) -> Reply:
        """See `HttpConnection.exchange`. Requests may be repeated: once, if the connection had been closed while it was idle.

        Raises LinkError.
        """
        began_s = time.monotonic()
        for fresh in (False, True):
            connection = self._take(wait_s - time.monotonic() + began_s, fresh=fresh, may_look_up=may_look_up)
            spent_s = time.monotonic() - began_s
            try:
                reply = connection.exchange(
                    method,
                    path,
                    headers,
                    buffers,
                    wait_s=wait_s - spent_s,
                    largest_bytes=largest_bytes,
                    look=None if look is None else partial(_later, look, spent_s),
                    turn=turn,
                )
            except StaleError:
                if fresh:
                    raise
                continue
            self._give_back(connection)
            return reply
        raise AssertionError("a fresh connection is never stale")

    @property
    def has_idle(self) -> bool:
        """Is there a connection that need not be made?"""
        with self._lock:
            return any(connection.open for connection in self._idle)

    def close(self) -> None:
        """Close all connections; those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, wait_s: float, *, fresh: bool, may_look_up: bool) -> HttpConnection:
        with self._lock:
            if self._closed:
                raise LinkError(f"the session with {self.address} is closed")
            # What was idle beside one that had been closed was idle for as long, and has been closed as well.
            idle, self._idle = (self._idle, []) if fresh else ([], self._idle)
            while self._idle:
                connection = self._idle.pop()
                if connection.open:
                    return connection
                idle.append(connection)
        for connection in idle:
            connection.close()
        return HttpConnection(self.address, self._looked_up(may_look_up), wait_s)

    def _looked_up(self, may_look_up: bool) -> Sequence[tuple[int, tuple[Any, ...]]]:
        # Another thread may forget them meanwhile.
        places = self._places
        if places is None:
            if not may_look_up:
                raise LinkError(f"the address of {self.address.host} is not known yet")
            try:
                self._places = places = self.address.resolve()
            except (OSError, UnicodeError) as error:
                raise LinkError(f"the address of {self.address.host} cannot be found: {error}") from error
        return places

    def forget_places(self) -> None:
        """Look the host up again next time: it may have moved."""
        self._places = self.address.resolved()

    def _give_back(self, connection: HttpConnection) -> None:
        with self._lock:
            if not self._closed and connection.open and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _later(look: Look, spent_s: float, progress: Progress) -> float | None:
    """The look of an exchange that began when its connection was made, some time after it was asked for."""
    until_s = look(Progress(progress.elapsed_s + spent_s, progress.arrived_bytes, progress.total_bytes))
    return None if until_s is None else until_s - spent_s
