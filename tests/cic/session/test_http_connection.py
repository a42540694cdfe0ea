"""An exchange over a real socket ends in time whatever the other side does, and says how long each part took."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

from cic.errors import LinkError
from cic.session.abandon_rule import Progress
from cic.session.http_connection import HttpConnection, OverdueError, Reply, StaleError
from cic.session.server_address import server_address
from tests.cic.session.scripted_server import OK, Script, replying, request_of, scripted


@contextmanager
def connected(url: str, patience_s: float = 5.0) -> Iterator[HttpConnection]:
    address = server_address(url)
    connection = HttpConnection(address, address.resolve(), patience_s)
    yield connection
    connection.close()


def post(connection: HttpConnection, *buffers: bytes, wait_s: float = 5.0, largest_bytes: int = 1000, **more: object) -> Reply:
    size = {"Content-Length": str(sum(map(len, buffers)))}
    return connection.exchange("POST", "/x", size, buffers, wait_s=wait_s, largest_bytes=largest_bytes, **more)  # type: ignore[arg-type]


def test_the_request_arrives_whole_and_the_reply_is_timed() -> None:
    seen = []
    body = b"a" * 3_000_000

    def script(connection: socket.socket) -> None:
        while request := request_of(connection):
            seen.append(request)
            time.sleep(0.05)
            connection.sendall(b"HTTP/1.1 201 Fine\r\nX-Some: Thing\r\nContent-Length: 6\r\n\r\nabc")
            time.sleep(0.05)
            connection.sendall(b"def")

    with scripted(script) as url, connected(url) as connection:
        for _ in range(3):
            reply = post(connection, b"head", body, b"", b"tail")
            assert (reply.status, reply.headers["x-some"], bytes(reply.body)) == (201, "Thing", b"abcdef")
            assert reply.sent_s + 0.02 < reply.first_byte_s and reply.first_byte_s + 0.04 < reply.last_byte_s < 2
            assert connection.open
    assert len(seen) == 3 and len(set(seen)) == 1
    assert seen[0].endswith(b"\r\n\r\nhead" + body + b"tail") and seen[0].startswith(b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert reply.bytes_up == len(seen[0])
    assert reply.bytes_down == len(b"HTTP/1.1 201 Fine\r\nX-Some: Thing\r\nContent-Length: 6\r\n\r\nabcdef")


@pytest.mark.skipif(resource is None, reason="this system has no limits of open files")
def test_a_connection_is_kept_in_a_process_with_thousands_of_open_files() -> None:
    """`select` refuses such file numbers, so each inference connected anew."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip(f"this process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    held = []
    try:
        with open(os.devnull, "rb") as file:
            while not held or held[-1] < 1100:
                held.append(os.dup(file.fileno()))
        with scripted(replying(OK)) as url, connected(url) as connection:
            for _ in range(2):
                assert bytes(post(connection, b"x").body) and connection._socket.fileno() > 1024
                assert connection.open
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _trickle(connection: socket.socket) -> None:
    request_of(connection)
    for letter in OK:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def _silent(connection: socket.socket) -> None:
    request_of(connection)
    time.sleep(3)


def _takes_nothing(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    time.sleep(3)


def _stops_in_the_body(connection: socket.socket) -> None:
    request_of(connection)
    connection.sendall(OK[:-1])
    time.sleep(3)


@pytest.mark.parametrize("script", [_trickle, _silent, _takes_nothing, _stops_in_the_body])
def test_an_exchange_ends_at_its_deadline_whatever_the_peer_does(script: Script) -> None:
    with scripted(script) as url, connected(url) as connection:
        began_s = time.monotonic()
        with pytest.raises(OverdueError, match="longer than it was given") as caught:
            post(connection, b"x" * 8_000_000, wait_s=0.3)
        assert 0.3 <= time.monotonic() - began_s < 0.7
        assert 0.3 <= caught.value.elapsed_s < 0.7
        assert not connection.open
        if script is _takes_nothing:
            assert caught.value.slow_link and caught.value.arrived_bytes < 7_000_000


def test_a_look_may_give_more_time_and_sees_what_arrived() -> None:
    looks: list[Progress] = []

    def look(progress: Progress) -> float | None:
        looks.append(progress)
        return progress.elapsed_s + 0.1 if len(looks) < 3 else None

    with scripted(_silent) as url, connected(url) as connection, pytest.raises(OverdueError):
        post(connection, b"x" * 1000, wait_s=0.1, look=look)
    assert [round(each.elapsed_s, 1) for each in looks] == [0.1, 0.2, 0.3]
    # All of it arrived: it is the server that is slow.
    assert all(each.arrived_bytes == each.total_bytes > 1000 for each in looks)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "without a reply"),
        (b"HTTP/1.1 200 OK\r\n", "does not say how long"),
        (OK[:-1], "broke|closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n" * 5, "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000, "2000 bytes, at most 1000"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "at most 1000"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "does not say how long|broke"),
        (b"HTTP/1.1 200 OK\r\n\r\nall there is", "does not say how long"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
            "more than the 1000",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx", "broke"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "broke"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", "broke"),
        (b"\x00" * 100_000, "broke"),
    ],
)
def test_what_is_no_reply_of_the_right_size_is_an_error(reply: bytes, words: str) -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(reply)

    with scripted(script) as url, connected(url) as connection:
        with pytest.raises(LinkError, match=words):
            post(connection, b"x")
        assert not connection.open


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (CHUNKED + b"-1\r\n", b"x" * 4096),
        (CHUNKED + b"1", b"0" * 4096),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
        (b"HTTP/1.1 200 ", b"\x1b[31m" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
    ],
    ids=["chunks", "chunk below 0", "chunk size", "trailers", "headers", "status line", "Continue", "no length"],
)
def test_a_reply_without_end_is_ended_by_its_size(first: bytes, rest: bytes) -> None:
    taken = 0

    def script(connection: socket.socket) -> None:
        nonlocal taken
        request_of(connection)
        connection.sendall(first)
        while taken < 64 << 20:
            connection.sendall(rest)
            taken += len(rest)

    with scripted(script) as url, connected(url) as connection, pytest.raises(LinkError) as caught:
        post(connection, b"x", wait_s=20)
    # As much as is accepted, and what the kernel holds.
    assert taken < 16 << 20
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_a_reply_that_is_reset_at_any_byte_is_an_error() -> None:
    reply = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 20\r\nContent-Length: 40\r\n\r\n" + b"x" * 40
    offsets = iter(range(len(reply)))

    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(reply[: next(offsets)])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scripted(script) as url:
        for _ in range(len(reply)):
            with connected(url) as connection, pytest.raises(LinkError):
                post(connection, b"x")


def test_chunked_replies_are_read() -> None:
    with (
        scripted(replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as url,
        connected(url) as connection,
    ):
        assert [bytes(post(connection, b"x").body) for _ in range(2)] == [b"abcde", b"abcde"]


def test_a_reply_that_is_followed_by_more_leaves_no_connection_for_the_next() -> None:
    with scripted(replying(OK + OK)) as url, connected(url) as connection:
        assert bytes(post(connection, b"x").body) == b"ok"
        assert not connection.open


@pytest.mark.parametrize("end", ["now", "after the request"])
def test_a_connection_that_was_closed_while_idle_is_told_apart(end: str) -> None:
    closed = threading.Event()

    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(OK)
        if end == "after the request":
            request_of(connection)
        connection.close()
        closed.set()

    with scripted(script) as url, connected(url) as connection:
        post(connection, b"x")
        if end == "now":
            assert closed.wait(5)
            time.sleep(0.01)
            assert not connection.open
        with pytest.raises(StaleError):
            post(connection, b"x")


def test_a_refusal_that_comes_before_the_body_was_taken_is_read() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with scripted(script) as url, connected(url) as connection:
        reply = post(connection, b"x" * 500_000)
    assert (reply.status, bytes(reply.body)) == (413, b"no")


def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(LinkError, match="cannot be reached"), connected(refused()):
        pass


def test_no_time_to_connect_is_overdue() -> None:
    address = server_address("http://127.0.0.1:1")
    with pytest.raises(OverdueError, match="was not reached within"):
        HttpConnection(address, address.resolve(), 0.0)
