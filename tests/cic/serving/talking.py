"""Clients of a tail server: a proper one over `http.client`, and a socket for what no proper one sends."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from cic.codec.tensors import Array, carrier
from cic.protocol.answer import Answer, read_answer
from cic.protocol.request import JSON_LENGTH, coded_inputs, json_length, write_request
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.tail_server import TailServer

OPENED = contextlib.ExitStack()
"""What a test has opened."""


@dataclass(frozen=True)
class Reply:
    """What came back for a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> str:
        told = json.loads(self.body)
        assert told.keys() == {"error"}
        return str(told["error"])


def connect(server: TailServer, timeout_s: float = 20, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """A connection, which is closed after the test."""
    address = urlsplit(server.address)
    assert address.hostname is not None
    if tls is None:
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout_s)
    else:
        connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=timeout_s, context=tls)
    OPENED.callback(connection.close)
    return connection


def exchange(
    connection: http.client.HTTPConnection,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
) -> Reply:
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
    with connection.getresponse() as response:
        return Reply(response.status, response.headers, response.read())


def ask(
    connection: http.client.HTTPConnection,
    tail: SpokenTail,
    arrays: Sequence[Array],
    codecs: Sequence[str] = (),
    request_id: str = "1",
    headers: dict[str, str] | None = None,
) -> Answer:
    """The answer of a tail; AssertionError with the reply if there is none."""
    own, buffers = write_request(tail, request_id, coded_inputs(tail, arrays, codecs))
    reply = exchange(connection, f"/v2/models/{tail.name}/infer", b"".join(buffers), {**own, **(headers or {})})
    assert reply.status == 200, (reply.status, reply.body)
    length = json_length(reply.headers[JSON_LENGTH], len(reply.body), 1 << 20)
    return read_answer(reply.body[:length], memoryview(bytearray(reply.body[length:])), tail, request_id)


def raw_request(tail: SpokenTail, arrays: Sequence[Array]) -> bytes:
    """A whole request as bytes, as they go over a socket."""
    headers, buffers = write_request(tail, "1", coded_inputs(tail, arrays))
    lines = [f"POST /v2/models/{tail.name}/infer HTTP/1.1", "Host: x", *(f"{key}: {text}" for key, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + b"".join(buffers)


def open_socket(server: TailServer, timeout_s: float = 20) -> socket.socket:
    """A socket, which is closed after the test."""
    address = urlsplit(server.address)
    link = socket.create_connection((address.hostname, address.port), timeout=timeout_s)
    OPENED.callback(link.close)
    return link


def sent(server: TailServer, content: bytes) -> bytes:
    """All that a server says to these bytes until it closes the connection; it must do so."""
    with open_socket(server) as link:
        with contextlib.suppress(OSError):  # it has closed already
            link.sendall(content)
        return until_closed(link)


def until_closed(link: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := link.recv(1 << 16):
            said += piece
    return said


def status_of(said: bytes) -> int:
    """The status in what a server said; 0 if it said nothing."""
    return int(said.split(b" ", 2)[1]) if said else 0


def zeros(tail: SpokenTail) -> list[Array]:
    return [np.zeros(each.wire.shape, carrier(each.wire.dtype)) for each in tail.inputs]


def wait_until(holds: Callable[[], bool], patience_s: float = 20) -> None:
    last = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < last, "it never came to be"
        time.sleep(0.005)


@dataclass
class FakeEngine:
    """In the place of a tail's engine: it does what a test wants first, then as that does."""

    behind: Any
    does: Callable[[], object]
    runs: int = field(default=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        self.runs += 1
        self.does()
        answer: tuple[Array, ...] = self.behind.run(arrays)
        return answer
