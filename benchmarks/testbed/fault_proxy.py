"""A TCP proxy that delays, slows down, stalls, cuts short and resets what passes: each direction apart, and changed as it runs.

In the process that uses it, `FaultProxy(address)` runs in a thread of its own. Elsewhere, as on a host of the testbed, it is
`python -m benchmarks.testbed.fault_proxy 127.0.0.1:8000 --listen 10.77.0.2:8001`, which takes faults as lines of JSON, such as
`{"up": {"rate_bps": 1e6}, "down": {"delay_s": 0.02}}`, and repeats each when it holds. The faults are those of toxiproxy.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import random
import socket
import struct
import sys
import termios
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Literal, Self

CHUNK_BYTES = 65_536
# A slow link gets as much at once as it sends in this time, so that a new rate holds at once.
SLICE_S = 0.005
# What is under way in a long delay; the sender waits where there is more.
LARGEST_QUEUE_BYTES = 4 * 2**20
# Until bytes that were sent have arrived; a peer that does not read is cut off all the same.
DELIVERY_S = 1.0
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Faults:
    """What happens to one direction of every connection.

    delay_s: added to the way of each byte. jitter_s: at most so much more, drawn for each piece; order is kept.
    rate_bps: payload that passes; None: as fast as it can.
    stall_at, truncate_at, reset_at: after so many bytes nothing more passes, or the stream ends in order and the rest is
    swallowed, or the connection is reset for both peers. Counted for each connection from its start, or from when the faults
    were set if that was later. Bytes that may pass arrive before anything happens.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float | None = None
    stall_at: int | None = None
    truncate_at: int | None = None
    reset_at: int | None = None

    @property
    def limit(self) -> int | None:
        """Bytes after which one of the three happens."""
        return min((at for at in (self.stall_at, self.truncate_at, self.reset_at) if at is not None), default=None)


@dataclass(eq=False)
class _Way:
    """One direction of one connection.

    due: pieces and when they may leave. waiting: bytes of them. passed: bytes since the faults were set. free_at: when the next
    may leave under a rate. truncated: the rest is swallowed.
    """

    name: Direction
    source: socket.socket
    target: socket.socket
    due: deque[tuple[float, bytes]] = field(default_factory=deque)
    waiting: int = 0
    passed: int = 0
    free_at: float = 0.0
    truncated: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """A proxy in a thread of its own, on a free port of this host; a context manager.

    target: (host, port) that it connects to. listen: (host, port) where it waits. seed: of the jitter.
    refusing: while it is true, connections are reset as they come.
    """

    def __init__(self, target: tuple[str, int], listen: tuple[str, int] = ("127.0.0.1", 0), seed: int = 0) -> None:
        self._target = target
        self._faults: dict[Direction, Faults] = {"up": Faults(), "down": Faults()}
        self._ways: set[_Way] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random(seed)
        self._listening = socket.create_server(listen, backlog=64)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, daemon=True)
        self.refusing = False
        self.connections = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it waits for connections."""
        host, port = self._listening.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def set(self, up: Faults | None = None, down: Faults | None = None) -> None:
        """From now on these faults hold, for open connections, too; a direction that is None stays as it is."""
        self._call(self._set(up, down)).result()

    def drop_all(self) -> None:
        """Reset every open connection."""
        self._call(self._drop_all()).result()

    def _call(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _set(self, up: Faults | None, down: Faults | None) -> None:
        told: tuple[tuple[Direction, Faults | None], ...] = (("up", up), ("down", down))
        for name, faults in told:
            if faults is None:
                continue
            self._faults[name] = faults
            for way in self._ways:
                if way.name == name:
                    way.passed, way.free_at = 0, 0.0
                    way.changed.set()

    async def _drop_all(self) -> None:
        for way in self._ways:
            _reset_when_closed(way.source)
        for task in self._tasks:
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        accepting.cancel()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(accepting, *self._tasks, return_exceptions=True))
        self._listening.close()
        self._loop.close()

    async def _accept(self) -> None:
        self._listening.setblocking(False)
        while True:
            client, _ = await self._loop.sock_accept(self._listening)
            self.connections += 1
            if self.refusing:
                _reset_when_closed(client)
                client.close()
                continue
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        client.setblocking(False)
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)
        ways: tuple[_Way, ...] = ()
        try:
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(server, self._target)
            ways = _Way("up", client, server), _Way("down", server, client)
            self._ways.update(ways)
            async with asyncio.TaskGroup() as group:
                for way in ways:
                    group.create_task(self._read(way))
                    group.create_task(self._write(way))
        except* OSError:
            _reset_when_closed(client)
            _reset_when_closed(server)
        finally:
            self._ways.difference_update(ways)
            client.close()
            server.close()

    async def _read(self, way: _Way) -> None:
        """Take what comes, and say when each piece may go on."""
        last_due = 0.0
        while True:
            while way.waiting > LARGEST_QUEUE_BYTES:
                way.changed.clear()
                await way.changed.wait()
            piece = await self._loop.sock_recv(way.source, CHUNK_BYTES)
            faults = self._faults[way.name]
            delay_s = faults.delay_s + faults.jitter_s * self._random.random()
            last_due = max(last_due, self._loop.time() + delay_s)
            way.due.append((last_due, piece))
            way.waiting += len(piece)
            way.changed.set()
            if not piece:
                return

    async def _write(self, way: _Way) -> None:
        """Send each piece when it is due, at the rate that holds then; b"" is the end of the stream."""
        while True:
            while not way.due:
                way.changed.clear()
                await way.changed.wait()
            due, piece = way.due.popleft()
            way.waiting -= len(piece)
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not piece:
                _end_stream(way.target)
                return
            view = memoryview(piece)
            while view and not way.truncated:
                view = view[await self._pass_on(way, view) :]
            way.changed.set()

    async def _pass_on(self, way: _Way, view: memoryview) -> int:
        """Send the front of a piece under the faults of this moment, and say how much that was."""
        faults = self._faults[way.name]
        limit = faults.limit
        if limit is not None and way.passed >= limit:
            await self._end(way, faults, limit)
            return 0  # other faults hold now
        most = len(view) if limit is None else min(len(view), limit - way.passed)
        if faults.rate_bps is None:
            await self._loop.sock_sendall(way.target, view[:most])
            way.passed += most
            return most
        most = min(most, max(1, round(faults.rate_bps * SLICE_S / 8)))
        # Slept too long, it catches up: a debt of time is carried over, at most one slice of it.
        way.free_at = max(way.free_at, self._loop.time() - SLICE_S) + 8 * most / faults.rate_bps
        await asyncio.sleep(max(0.0, way.free_at - self._loop.time()))
        await self._loop.sock_sendall(way.target, view[:most])
        way.passed += most
        return most

    async def _end(self, way: _Way, faults: Faults, limit: int) -> None:
        """What happens after the last byte that may pass; after a stall it returns when other faults hold."""
        if limit == faults.stall_at:
            while self._faults[way.name] is faults:
                way.changed.clear()
                await way.changed.wait()
            return
        if limit == faults.reset_at:
            # A reset takes along what has not arrived.
            until = self._loop.time() + DELIVERY_S
            while _unsent_bytes(way.target) and self._loop.time() < until:
                await asyncio.sleep(0.0005)
            raise ConnectionAbortedError
        way.truncated = True
        _end_stream(way.target)


def _reset_when_closed(peer: socket.socket) -> None:
    """From now on closing it is a reset, not the orderly end of a connection."""
    with suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _end_stream(peer: socket.socket) -> None:
    with suppress(OSError):
        peer.shutdown(socket.SHUT_WR)


def _unsent_bytes(peer: socket.socket) -> int:
    """Bytes that the other side has not acknowledged (Linux: tcp(7), SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def main() -> None:
    """Run until the standard input ends."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("target", help="HOST:PORT that connections go on to")
    options.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT to wait at; default: a free port of this host")
    given = options.parse_args()
    with FaultProxy(_address(given.target), _address(given.listen)) as proxy:
        host, port = proxy.address
        print(f"listening on {host}:{port}", flush=True)
        for line in sys.stdin:
            told = json.loads(line)
            if "refusing" in told:
                proxy.refusing = bool(told["refusing"])
            proxy.set(**{way: Faults(**told[way]) for way in ("up", "down") if way in told})
            print(line.strip(), flush=True)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
