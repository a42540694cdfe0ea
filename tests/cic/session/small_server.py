"""A tail server of a few lines, which a test can have answer late, wrongly, or not at all."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cic.engine.engine import Engine
from cic.engine.opening import open_half
from cic.errors import ProtocolError
from cic.protocol.answer import ServerTimes, coded_outputs, write_answer, write_failure
from cic.protocol.metadata import metadata_of
from cic.protocol.request import JSON_LENGTH, read_request
from cic.protocol.spoken_tail import SpokenTail, spoken_tail
from codegen.manifest import read_manifest
from tests.cic.session.scripted_server import request_of, scripted


@dataclass
class SmallServer:
    """What it does may be changed while it runs.

    reply: makes of the right reply to an inference what is sent; None closes the connection, and so does what is sent as
    another class than bytes. refuse: a status and headers to
    refuse each inference with. silent: it takes requests and says nothing. ids: of all inferences that it was asked for.
    claims_s: so long it says that requests waited there.
    """

    tails: dict[str, tuple[SpokenTail, Engine]]
    url: str = ""
    reply: Callable[[bytes], bytes | None] = lambda content: content
    refuse: tuple[int, str] | None = None
    silent: bool = False
    delay_s: float = 0.0
    claims_s: float = 0.0
    ids: list[str] = field(default_factory=list)

    def talk(self, connection: socket.socket) -> None:
        while request := request_of(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            line, *headers = head.decode().split("\r\n")
            _, path, _ = line.split(" ")
            while self.silent:
                time.sleep(0.02)
            content: bytes | None = self.answer(path, dict(each.split(": ", 1) for each in headers), bytearray(body))
            if path.endswith("/infer") and content is not None:
                time.sleep(self.delay_s)
                content = self.reply(content)
            if content is None:
                return
            connection.sendall(content)
            if type(content) is not bytes:  # a kind of reply after which there is nothing more
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return

    def answer(self, path: str, headers: dict[str, str], body: bytearray) -> bytes:
        if path == "/v2/health/ready":
            return _reply(200, b"")
        tail, engine = self.tails[path.split("/")[3]]
        if not path.endswith("/infer"):
            return _reply(200, json.dumps(metadata_of(tail, "small")).encode())
        if self.refuse is not None:
            status, more = self.refuse
            return _reply(status, write_failure("not now"), more)
        length = int(headers[JSON_LENGTH])
        self.ids.append(json.loads(body[:length])["id"])
        try:
            request = read_request(memoryview(body)[:length], memoryview(body)[length:], tail)
        except ProtocolError as error:
            return _reply(error.status, write_failure(str(error)))
        began_s = time.perf_counter()
        given = coded_outputs(tail, request.head, engine.run(request.arrays))
        times = ServerTimes(0, int(self.claims_s * 1e6), 0, int((time.perf_counter() - began_s) * 1e6), 0)
        more_headers, buffers = write_answer(tail, request.head, given, times)
        return _reply(200, b"".join(map(bytes, buffers)), "".join(f"{key}: {value}\r\n" for key, value in more_headers.items()))


def _reply(status: int, body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Some\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def small_server(bundle: Path) -> Iterator[SmallServer]:
    """One that serves all tails of a bundle."""
    manifest = read_manifest(bundle)
    tails = {}
    for record in manifest.cuts:
        if record.crossing:
            tail = spoken_tail(manifest, record.id, manifest.name, counted=True)
            tails[tail.name] = (tail, open_half(bundle, record.id, "tail"))
    server = SmallServer(tails)
    with scripted(server.talk) as server.url:
        yield server
