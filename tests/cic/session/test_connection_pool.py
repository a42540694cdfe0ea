"""Connections are kept, and a request is repeated once if the one it went to had been closed while it was idle."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cic.errors import LinkError
from cic.session.abandon_rule import Progress
from cic.session.connection_pool import ConnectionPool
from cic.session.http_connection import OverdueError
from cic.session.server_address import server_address
from tests.cic.session.scripted_server import OK, replying, request_of, scripted


def get(pool: ConnectionPool, wait_s: float = 5.0, **more: object) -> bytes:
    return bytes(pool.exchange("GET", "/", {}, wait_s=wait_s, largest_bytes=10, **more).body)  # type: ignore[arg-type]


def test_one_connection_serves_many_exchanges_and_as_many_as_run_at_once() -> None:
    opened = []

    def script(connection: socket.socket) -> None:
        opened.append(connection)
        while request_of(connection):
            time.sleep(0.05)
            connection.sendall(OK)

    with scripted(script) as url:
        pool = ConnectionPool(server_address(url))
        assert not pool.has_idle
        assert [get(pool) for _ in range(5)] == [b"ok"] * 5
        assert len(opened) == 1 and pool.has_idle
        with ThreadPoolExecutor(3) as threads:
            assert [each.result() for each in [threads.submit(get, pool) for _ in range(6)]] == [b"ok"] * 6
        assert len(opened) == 3
        pool.close()
        with pytest.raises(LinkError, match="is closed"):
            get(pool)


def test_a_request_is_repeated_where_the_connection_had_been_closed() -> None:
    requests = []

    def script(connection: socket.socket) -> None:
        requests.append(request_of(connection))
        connection.sendall(OK)
        request_of(connection)  # and closes without a reply, as a server does at the end of its patience

    with scripted(script) as url:
        pool = ConnectionPool(server_address(url))
        assert [get(pool) for _ in range(3)] == [b"ok"] * 3
        pool.close()
    assert len(requests) == 3


def test_a_fresh_connection_that_is_closed_is_an_error_and_not_repeated() -> None:
    requests = []

    def script(connection: socket.socket) -> None:
        requests.append(request_of(connection))

    with scripted(script) as url, pytest.raises(LinkError, match="without a reply"):
        get(ConnectionPool(server_address(url)))
    assert len(requests) == 1


def test_making_the_connection_counts_as_time_of_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Progress] = []

    def look(progress: Progress) -> float | None:
        looks.append(progress)
        return None

    held = threading.Event()
    with scripted(lambda connection: held.wait(5) and None) as url:
        pool = ConnectionPool(server_address(url))
        take = pool._take

        def slow(*arguments: object, **more: object) -> object:
            time.sleep(0.1)
            return take(*arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(pool, "_take", slow)
        began_s = time.monotonic()
        with pytest.raises(OverdueError):
            get(pool, wait_s=0.25, look=look)
        assert time.monotonic() - began_s == pytest.approx(0.25, abs=0.05)
        assert looks[0].elapsed_s == pytest.approx(0.25, abs=0.02)
        held.set()


def test_a_name_is_looked_up_only_where_there_is_time_for_it() -> None:
    with scripted(replying(OK)) as url:
        pool = ConnectionPool(server_address(url.replace("127.0.0.1", "localhost")))
        with pytest.raises(LinkError, match="is not known yet"):
            get(pool)
        assert get(pool, may_look_up=True) == b"ok"
        pool.close()
    pool = ConnectionPool(server_address("http://no-such-host.invalid"))
    with pytest.raises(LinkError, match="cannot be found"):
        get(pool, may_look_up=True)


def test_places_that_are_forgotten_meanwhile_are_still_used() -> None:
    class Forgetful(ConnectionPool):
        """Another thread forgets them after each look."""

        _looks = 0

        @property
        def _places(self):
            self._looks += 1
            return self.address.resolved() if self._looks % 2 else None

        @_places.setter
        def _places(self, value):
            pass

    with scripted(replying(OK)) as url:
        pool = Forgetful(server_address(url))
        assert get(pool) == b"ok"
        pool.close()
