"""The body of a request, read into memory of the size that it says, at no less than a least rate.

The memory begins where the payloads lie as numpy and the engines want them, so that a tensor that is sent as it is need not be
copied again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from aiohttp import web

from cic.errors import ProtocolError
from cic.protocol.request import RequestHead
from cic.serving.body_room import BodyRoom
from cic.serving.connection import Connection
from cic.serving.intake import ComingBody
from cic.serving.server_options import ServerOptions

_ALIGNMENT = 64


async def read_body(
    request: web.BaseRequest,
    length: int,
    json_bytes: int,
    options: ServerOptions,
    room: BodyRoom,
    read_head: Callable[[memoryview], RequestHead],
) -> tuple[RequestHead, memoryview]:
    """What a body of `length` bytes says, and the bytes after the first `json_bytes`, which `read_head` reads.

    If they are there before the rest, they are read while that comes. All are taken of the room, which the caller frees after
    the answer; where there is an error, nothing is.
    Raises ProtocolError with the status 408 if bytes come too slowly, 503 if there is no room, and as `read_head`, but that
    only when all is there: so the connection is left as it must be for the next request.
    """
    connection = request.protocol
    assert isinstance(connection, Connection), "the server makes its connections itself"
    memory = np.empty(length + _ALIGNMENT, np.uint8)
    begin = -(memory.ctypes.data + json_bytes) % _ALIGNMENT
    body = memory.data[begin : begin + length]
    received, head = 0, None
    try:
        # What aiohttp has parsed already.
        while piece := request.content.read_nowait():
            room.taken += len(piece)
            received += len(piece)
            body[received - len(piece) : received] = piece
            room.check()
        if received < length:
            patience_s = options.body_timeout_s
            coming = ComingBody(body[received:], length, room, patience_s, options.least_bytes_per_s * patience_s)
            connection.take_body(request, coming)
            try:
                if received >= json_bytes:
                    head = _tried(read_head, body[:json_bytes])
                await coming.done
            finally:
                received = length - len(coming.rest)
                connection.forget_body()
        head = head or _tried(read_head, body[:json_bytes])
        if isinstance(head, ProtocolError):
            raise head
    except BaseException:
        room.taken -= received
        raise
    return head, body[json_bytes:]


def _tried(read_head: Callable[[memoryview], RequestHead], text: memoryview) -> RequestHead | ProtocolError:
    try:
        return read_head(text)
    except ProtocolError as error:
        return error
