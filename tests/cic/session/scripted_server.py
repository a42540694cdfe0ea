"""A server that says what a test tells it to, byte by byte, to clients that come one after another or at the same time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def scripted(script: Script) -> Iterator[str]:
    """The address of a server that runs `script` for each connection, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            script(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                opened.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def request_of(connection: socket.socket) -> bytes:
    """One whole request: its head and its body; b"" at the end of the connection."""
    content = b""
    while b"\r\n\r\n" not in content:
        if not (piece := connection.recv(65536)):
            return b""
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    size = int(sizes[0].partition(b":")[2]) if sizes else 0
    while len(body) < size:
        if not (piece := connection.recv(65536)):
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def replying(reply: bytes) -> Script:
    """A script that replies the same to each request."""

    def script(connection: socket.socket) -> None:
        while request_of(connection):
            connection.sendall(reply)

    return script
