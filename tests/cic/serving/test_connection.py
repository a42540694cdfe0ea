"""Peers that are slow, endless, or no clients at all take neither time nor memory from the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from pathlib import Path

import pytest

from cic.errors import InputError
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.connection import check_aiohttp
from cic.serving.tail_server import TailServer
from tests.cic.serving.conftest import MODEL, USUAL, Serving
from tests.cic.serving.talking import (
    ask,
    connect,
    exchange,
    open_socket,
    raw_request,
    sent,
    status_of,
    until_closed,
    wait_until,
    zeros,
)

GET = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("begin", [b"G", GET, GET + b"X-Long: " + b"a" * 1000], ids=["a letter", "two lines", "half a line"])
def test_half_a_header_is_not_waited_for(server: TailServer, begin: bytes) -> None:
    with open_socket(server) as link:
        began = time.perf_counter()
        link.sendall(begin)
        assert until_closed(link) == b""
        assert USUAL.header_timeout_s - 0.05 < time.perf_counter() - began < USUAL.header_timeout_s + 1


def test_a_header_that_comes_byte_by_byte_is_not_waited_for(server: TailServer) -> None:
    """Each byte is in time, the header is not; the second request of a connection is treated as the first."""
    with open_socket(server) as link:
        link.sendall(GET + b"\r\n")
        assert status_of(link.recv(1000)) == 200
        began = time.perf_counter()
        with pytest.raises(OSError):
            for byte in GET * 20:
                link.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.perf_counter() - began < USUAL.header_timeout_s + 2


def test_many_half_headers_hurt_nobody(serving: Serving, tail: SpokenTail) -> None:
    server = serving(header_timeout_s=1)
    before = descriptors()
    links = [open_socket(server) for _ in range(200)]
    for link in links:
        link.sendall(GET)
    connection, slowest = connect(server), 0.0
    for _ in range(20):
        began = time.perf_counter()
        assert ask(connection, tail, zeros(tail)).outputs
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 2
    assert all(until_closed(link) == b"" for link in links)
    for link in links:
        link.close()
    wait_until(lambda: descriptors() <= before + 4)


def test_silence_is_waited_for_as_long_as_is_said(serving: Serving) -> None:
    server = serving(idle_timeout_s=0.4, header_timeout_s=0.1)
    for said in (b"", GET + b"\r\n"):
        with open_socket(server) as link:
            link.sendall(said)
            assert bool(said) == (bool(said) and status_of(link.recv(1000)) == 200)
            began = time.perf_counter()
            assert until_closed(link) == b""
            assert 0.3 < time.perf_counter() - began < 2


def test_another_aiohttp_is_refused_before_anything_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    check_aiohttp()
    monkeypatch.setattr("cic.serving.connection._PARSER", "_elsewhere")
    with pytest.raises(InputError, match="keeps no _elsewhere; install"):
        check_aiohttp()


def test_more_connections_than_there_may_be_are_closed(serving: Serving) -> None:
    server = serving(connections=3)
    links = [open_socket(server) for _ in range(3)]
    for link in links:
        link.sendall(GET + b"\r\n")
        assert status_of(link.recv(1000)) == 200
    assert sent(server, GET + b"\r\n") == b""
    links[0].close()
    wait_until(lambda: status_of(sent(server, GET + b"Connection: close\r\n\r\n")) == 200)


def test_a_new_client_takes_the_place_of_the_one_that_was_silent_for_longest(serving: Serving, tail: SpokenTail) -> None:
    server = serving(connections=3)
    links = [open_socket(server) for _ in range(3)]
    for link in links[1:]:
        link.sendall(GET + b"\r\n")
        assert status_of(link.recv(1000)) == 200
    time.sleep(0.6)
    links[1].sendall(GET)  # no longer silent
    time.sleep(0.05)
    connection = connect(server)
    assert ask(connection, tail, zeros(tail)).outputs
    assert until_closed(links[0]) == b""
    assert exchange(connect(server), "/v2/health/live").status == 200
    assert until_closed(links[2]) == b""
    links[1].sendall(b"\r\n")
    assert status_of(links[1].recv(1000)) == 200
    assert ask(connection, tail, zeros(tail)).outputs


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        GET + b"Content-Length: -5\r\n\r\n",
        GET + b"No colon\r\n\r\n",
        GET + b"Nul: a\0b\r\n\r\n",
        bytes(range(256)) * 4,
    ],
)
def test_what_is_no_http_is_refused_in_one_line(server: TailServer, content: bytes) -> None:
    said = sent(server, content)
    assert status_of(said) in (0, 400, 404) and b"Traceback" not in said and len(said) < 600
    assert status_of(said) != 400 or said.endswith(b'{"error":"this is not HTTP/1.1 as it is spoken here"}')


@pytest.mark.parametrize(
    "content",
    [
        GET + b"X: " + b"a" * 5_000_000,
        b"GET /" + b"a" * 5_000_000 + b" HTTP/1.1\r\n\r\n",
        GET + b"X: y\r\n" * 100_000 + b"\r\n",
        GET + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n",
    ],
    ids=["a field", "an address", "a hundred thousand fields", "fields"],
)
def test_a_header_without_end_takes_no_memory(server: TailServer, content: bytes) -> None:
    before = resident_bytes()
    assert status_of(sent(server, content)) in (0, 400, 431)
    assert resident_bytes() - before < 16 << 20
    assert exchange(connect(server), "/v2/health/live").status == 200


def test_requests_one_behind_the_other_are_answered_in_order(server: TailServer) -> None:
    paths = ("/v2", f"/v2/models/{MODEL}", "/absent", "/v2")
    requests = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths)
    said = sent(server, requests + GET + b"Connection: close\r\n\r\n")
    assert [int(part[1:4]) for part in said.split(b"HTTP/1.1")[1:]] == [200, 200, 404, 200, 200]


def test_peers_that_vanish_leave_nothing(server: TailServer, tail: SpokenTail) -> None:
    """At any byte of a request, with a close or a reset."""
    content, before = raw_request(tail, zeros(tail)), descriptors()
    for number in range(120):
        link = open_socket(server)
        link.sendall(content[: number * len(content) // 119])
        if number % 2:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
    assert ask(connect(server), tail, zeros(tail)).outputs
    wait_until(lambda: server.endpoints.metrics.in_flight == 0 and descriptors() <= before + 3)
    assert server.endpoints.room.taken == 0


def test_chunks_are_not_read_to_their_end(server: TailServer) -> None:
    """A refusal is usually followed by a second in which the rest is read and forgotten; that of chunks takes long to read."""
    with open_socket(server) as link:
        began = time.perf_counter()
        link.sendall(b"POST /v2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        assert status_of(until_closed(link)) == 405
        assert time.perf_counter() - began < 0.8


def test_answers_that_are_not_read_are_not_waited_for(serving: Serving) -> None:
    """Neither whoever asks again and again without reading, nor whoever reads but a little, keeps a connection."""
    server = serving(body_timeout_s=0.3, least_bytes_per_s=1e5)
    asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 300
    rests = {open_socket(server): asked for _ in range(2)}
    for link in rests:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
    began = time.perf_counter()
    # However much a system keeps for whoever does not read, they ask for more.
    while (server._transports or time.perf_counter() < began + 0.5) and time.perf_counter() < began + 20:
        for link, rest in rests.items():
            with contextlib.suppress(OSError):
                rests[link] = rest[link.send(rest) :] or asked
        with contextlib.suppress(OSError):
            link.recv(10)
        time.sleep(0.02)
    assert server.endpoints.metrics.requests["", 200] > 10
    assert not server._transports
    assert ask(connect(server), server.models[MODEL].spoken, zeros(server.models[MODEL].spoken)).outputs


def test_whoever_does_not_read_small_answers_gets_no_more_of_them(serving: Serving, tail: SpokenTail) -> None:
    server = serving(body_timeout_s=0.3)
    content = raw_request(tail, zeros(tail))
    with open_socket(server) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wait_until(lambda: len(server._transports) == 1)
        (transport,) = server._transports
        assert isinstance(transport, asyncio.WriteTransport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transport.set_write_buffer_limits(high=4096)
        with pytest.raises(OSError):
            link.sendall(content * 20_000)
    assert server.endpoints.metrics.requests[MODEL, 200] < 1000


def test_an_answer_that_is_read_slowly_enough_is_sent_to_its_end(serving: Serving) -> None:
    """At the least rate many answers come over one connection, for much longer than is waited for one."""
    server = serving(body_timeout_s=0.1, least_bytes_per_s=1000)
    with open_socket(server) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40 + b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        said = b""
        while piece := link.recv(1 << 15):
            said += piece
            time.sleep(0.01)
    assert said.count(b"HTTP/1.1 200") == 41
