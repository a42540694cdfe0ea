"""The answer of a tail, where it is small: one write to the socket, as soon as it is there.

What aiohttp does for any response costs as much as a small tail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import formatdate

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from cic.codec.codec import Payload

_OF_BYTES = {"Content-Type": "application/octet-stream"}


class SmallAnswer(web.StreamResponse):
    """200 with these headers and, one after another, these buffers; to a request of HTTP/1.1 that keeps its connection."""

    def __init__(self, headers: Mapping[str, str], buffers: Sequence[Payload]) -> None:
        super().__init__()
        self._writer: AbstractStreamWriter | None = None
        self._content = b"".join(buffers)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (_OF_BYTES | dict(headers)).items())
        self._head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(self._content)}\r\n"

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it all. Whether the connection is kept is known only now, as the server may end meanwhile."""
        keeps = request.keep_alive and self.keep_alive is not False and request.version == HttpVersion11
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the peer went away")
        if not keeps:
            self.force_close()
        self._keep_alive = keeps
        last = "" if keeps else "Connection: close\r\n"
        head = f"{self._head}Date: {formatdate(usegmt=True)}\r\n{last}\r\n"
        transport.write(head.encode("ascii") + self._content)
        self._writer = request.writer
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """All is sent. Whoever does not read what is sent gets no more computed, or it would pile up here."""
        if self._writer is not None:
            await self._writer.drain()
