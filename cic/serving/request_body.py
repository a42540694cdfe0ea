"""The body of a request, read into memory of the size that it says, at no less than a least rate.

The memory begins where the payloads lie as numpy and the engines want them, so that a tensor that is sent as it is need not be
copied again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web

from cic.errors import ProtocolError
from cic.serving.server_options import ServerOptions

_ALIGNMENT = 64
# What all requests in flight have received may take together so many times the longest one, and at least this.
_LEAST_ROOM_BYTES = 64 << 20


@dataclass
class BodyRoom:
    """The memory for bodies that are on their way or wait: bytes, of which `taken` are. A peer's promise takes none."""

    bytes: int
    taken: int = field(default=0)


def body_room(largest_bytes: int, queue: int) -> BodyRoom:
    """Room for as many of the longest requests as may wait, and a few that come meanwhile."""
    return BodyRoom(max(_LEAST_ROOM_BYTES, (queue + 4) * largest_bytes))


async def read_body(
    request: web.BaseRequest, length: int, json_bytes: int, options: ServerOptions, room: BodyRoom
) -> memoryview:
    """The `length` bytes of a body, of which the first `json_bytes` are JSON.

    They are taken of the room, which the caller frees after the answer; where there is an error, nothing is.
    Raises ProtocolError with the status 408 if bytes come too slowly, 503 if there is no room, 400 if there are fewer.
    """
    memory = np.empty(length + _ALIGNMENT, np.uint8)
    begin = -(memory.ctypes.data + json_bytes) % _ALIGNMENT
    body = memory.data[begin : begin + length]
    received, goal, due_s = 0, 0.0, 0.0
    try:
        while received < length:
            if received >= goal:
                # Not of the whole time, as who sent much at once might then be silent for long.
                goal = received + options.least_bytes_per_s * options.body_timeout_s
                due_s = asyncio.get_running_loop().time() + options.body_timeout_s
            piece = await _next_piece(request, received, length, due_s, options)
            room.taken += len(piece)
            received += len(piece)
            if room.taken > room.bytes:
                raise ProtocolError("there is no room for the bodies of more requests; come again in a second", 503)
            body[received - len(piece) : received] = piece
    except BaseException:
        room.taken -= received
        raise
    return body


async def _next_piece(request: web.BaseRequest, received: int, length: int, due_s: float, options: ServerOptions) -> bytes:
    try:
        async with asyncio.timeout_at(due_s):
            piece: bytes = await request.content.readany()
    except TimeoutError:
        raise ProtocolError(
            f"{received} of {length} bytes came in time; {options.least_bytes_per_s:g} a second are expected", 408
        ) from None
    if not piece:
        raise ProtocolError(f"the body ended after {received} of {length} bytes")
    return piece
