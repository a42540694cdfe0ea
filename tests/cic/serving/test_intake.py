"""Requests of all kinds follow one another on a connection, and are answered alike however their bytes come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.tensors import Array
from cic.protocol.request import JSON_LENGTH, coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail, SpokenTensor, largest_json_bytes, largest_request_bytes
from cic.serving.body_room import body_room
from cic.serving.connection import Connection
from cic.serving.endpoints import Endpoints
from cic.serving.inference_worker import InferenceWorker
from cic.serving.intake import AT_ONCE_BYTES, Intake
from cic.serving.loaded_tails import LoadedTail
from cic.serving.server_options import ServerOptions
from codegen.split import WireTensor

OPTIONS = ServerOptions(port=0, header_timeout_s=20, body_timeout_s=20, idle_timeout_s=20)


@dataclass(frozen=True)
class Doubling:
    """An engine that answers so many numbers, each twice the first that it is given."""

    numbers: int
    name: str = "doubling"

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        return (np.full(self.numbers, 2 * arrays[0].reshape(-1)[0], np.float32),)


def tail_of(name: str, taken: int, given: int) -> SpokenTail:
    """A tail that takes and gives so many numbers."""
    inputs = (SpokenTensor("INPUT__0", WireTensor("x", (taken,), "float32", 4 * taken)),)
    outputs = (SpokenTensor("OUTPUT__0", WireTensor("y", (given,), "float32", 4 * given)),)
    return SpokenTail(name, name, inputs, outputs, "a" * 64, "b" * 64)


# A body larger than all that aiohttp reads ahead of a handler, and an answer that is more than one write.
SMALL, LARGE = tail_of("small", 4, 3), tail_of("large", 160_000, 20_000)
# With a few letters more a body is as long as the most that aiohttp reads ahead.
LIMIT_BYTES = 2 * 256 << 10
AT_LIMIT = tail_of("limit", (LIMIT_BYTES - 350) // 4, 3)


@dataclass(eq=False)
class Wire(asyncio.Transport):
    """A transport into memory. lost: what is told when it closes."""

    lost: Callable[[None], object] = lambda _: None
    said: bytearray = field(default_factory=bytearray)
    paused: bool = False
    closed: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.said += data

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


def conversation(pieces: Sequence[tuple[bytes, int]], *, half_closes: bool = False) -> bytes:
    """All that a server says to these bytes until it closes; after each piece the loop turns so often.

    half_closes: the peer says after them that it sends no more.
    """
    worker, tails = InferenceWorker(64), {}
    for tail in (SMALL, LARGE, AT_LIMIT):
        engine: Any = Doubling(tail.outputs[0].shape[0])
        tails[tail.name] = LoadedTail(tail, engine, largest_request_bytes(tail), largest_json_bytes(tail))
    endpoints = Endpoints(OPTIONS, None, worker, body_room(largest_request_bytes(LARGE), 64), tails)

    async def main() -> bytes:
        server = web.Server(endpoints.handle, handler_cancellation=True)
        wire = Wire()
        connection = Connection(server, OPTIONS, set(), bytearray(AT_ONCE_BYTES))
        wire.lost = connection.intake.connection_lost
        connection.intake.connection_made(wire)
        worker.begin(lambda: None)
        async with asyncio.timeout(15):
            await spoken(connection.intake, wire, pieces)
            if half_closes and not wire.closed and not connection.intake.eof_received():
                wire.close()
            await turned(lambda: wire.closed)
        await asyncio.sleep(0)
        await server.shutdown(0.1)
        assert endpoints.room.taken == 0 and endpoints.metrics.in_flight == 0
        return bytes(wire.said)

    try:
        return asyncio.run(main())
    finally:
        worker.stop(5)


async def spoken(intake: Intake, wire: Wire, pieces: Sequence[tuple[bytes, int]]) -> None:
    """As a socket hands them to a protocol."""
    for piece, turns in pieces:
        rest = memoryview(piece)
        while rest:
            await turned(lambda: not wire.paused)
            if wire.closed:
                return
            place = intake.get_buffer(-1)
            count = min(len(place), len(rest))
            place[:count] = rest[:count]
            intake.buffer_updated(count)
            rest = rest[count:]
        for _ in range(turns):
            await asyncio.sleep(0)


async def turned(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Asked:
    """A request, and what is answered: the statuses, and the number if it is an inference."""

    content: bytes
    statuses: tuple[int, ...]
    number: float | None = None
    has_body: bool = True


def get(path: str = "/v2", status: int = 200, method: str = "GET", more: str = "") -> Asked:
    return Asked(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode(), (status,), has_body=method != "HEAD")


def infer(tail: SpokenTail, number: int, more: str = "", statuses: tuple[int, ...] = (200,), request_id: str = "1") -> Asked:
    arrays = [np.full(each.wire.shape, number, np.float32) for each in tail.inputs]
    headers, buffers = write_request(tail, request_id, coded_inputs(tail, arrays))
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    head = f"POST /v2/models/{tail.name}/infer HTTP/1.1\r\nHost: x\r\n{lines}{more}\r\n"
    return Asked(head.encode() + b"".join(buffers), statuses, 2 * number if statuses[-1] == 200 else None)


def other_weights(number: int) -> Asked:
    asked = infer(SMALL, number, statuses=(409,))
    return Asked(asked.content.replace(b"b" * 16, b"c" * 16), (409,))


CHUNKS = "Transfer-Encoding: chunked\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: {}\r\n"
KEPT = [
    lambda n: get(),
    lambda n: get("/absent", 404),
    lambda n: get("/v2", 200, "HEAD"),
    lambda n: get("/v2", 405, "PUT", "Content-Length: 0\r\n"),
    lambda n: infer(SMALL, n),
    lambda n: infer(LARGE, n),
    lambda n: infer(SMALL, n, "Expect: 100-continue\r\n", (100, 200)),
    lambda n: infer(LARGE, n, "Expect: 100-Continue\r\n", (100, 200)),
    other_weights,
]
ENDING = [
    lambda n: get(more="Connection: close\r\n"),
    lambda n: infer(LARGE, n, "Connection: close\r\n"),
    lambda n: Asked(get(more="Content-Length: 5\r\n").content + b"abcde", (200,)),
    lambda n: Asked(get("/v2", 405, "POST", "Content-Length: 5\r\n").content + b"abcde", (405,)),
    lambda n: Asked(get(more=CHUNKS).content + b"3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n", (200,)),
    lambda n: Asked(get("/v2/models/small/infer", 411, "POST", CHUNKS).content + b"0\r\n\r\n", (411,)),
    lambda n: Asked(get("/v2/models/small/infer", 411, "POST", CHUNKS).content + b"ffffffffffffffffffff\r\n", (411,)),
    lambda n: Asked(get("/v2/models/small/infer", 411, "POST").content + b"no HTTP\r\n\r\n", (411, 400)),
    lambda n: get(more=UPGRADE.format("websocket")),
    lambda n: infer(SMALL, n, UPGRADE.format("h2c")),
    lambda n: infer(LARGE, n, UPGRADE.format("websocket")),
    lambda n: Asked(b"no HTTP\r\n\r\n", (400,)),
]


def answers(said: bytes, asked: Sequence[Asked]) -> list[tuple[int, float | None]]:
    """The status of each answer, and the number in it."""
    found, bodiless = [], [not each.has_body for each in asked for _ in each.statuses]
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        size = 0 if len(found) < len(bodiless) and bodiless[len(found)] else int(headers.get("content-length", "0"))
        body, said = said[:size], said[size:]
        assert len(body) == size, head
        text = int(headers.get(JSON_LENGTH.lower(), "0"))
        found.append((int(head.split()[1]), float(np.frombuffer(body[text:], "<f4")[0]) if text else None))
        assert found[-1][0] < 400 or set(json.loads(body)) == {"error"}
    return found


def expected(asked: Sequence[Asked]) -> list[tuple[int, float | None]]:
    return [
        (status, each.number if place == len(each.statuses) - 1 else None)
        for each in asked
        for place, status in enumerate(each.statuses)
    ]


Kinds = tuple[list[int], int]


def stream(kinds: Kinds) -> list[Asked]:
    kept, ending = kinds
    makes = [*(KEPT[kind] for kind in kept), ENDING[ending]]
    return [make(number + 1) for number, make in enumerate(makes)]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.lists(st.integers(0, len(KEPT) - 1), max_size=5), st.integers(0, len(ENDING) - 1)),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-6, 6) | st.integers(0, 1 << 20), st.integers(0, 12)), max_size=8),
)
def test_however_bytes_come_the_answers_are_the_same(kinds: Kinds, cuts: list[tuple[int, int, int]]) -> None:
    """Cut near where a request begins, or anywhere behind; between two pieces the server has little or much time."""
    asked = stream(kinds)
    begins = [sum(len(each.content) for each in asked[:number]) for number in range(len(asked))]
    content = b"".join(each.content for each in asked)
    places = {(begins[number % len(begins)] + distance) % len(content): turns for number, distance, turns in cuts}
    ends = [*sorted(places), len(content)]
    pieces = [(content[begin:end], places.get(end, 0)) for begin, end in zip([0, *ends], ends, strict=False)]
    assert answers(conversation(pieces), asked) == expected(asked)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_bodies_may_end_at_the_limits_of_buffers(beyond: int) -> None:
    """Of what is parsed at once, and of what aiohttp reads ahead; while another request is computed, and while none is."""
    last = get(more="Connection: close\r\n")
    padding = AT_ONCE_BYTES + beyond - len(infer(SMALL, 2).content) - len("X: \r\n")
    lines = [f"X: {'x' * (part - len('X: '))}\r\n" for part in (padding // 3, padding // 3, padding + 6 - padding // 3 * 2)]
    header = infer(SMALL, 2, "".join(lines))
    body = infer(AT_LIMIT, 3, request_id="")
    _, _, without = body.content.partition(b"\r\n\r\n")
    long = infer(AT_LIMIT, 3, request_id="i" * (LIMIT_BYTES + beyond - len(without)))
    assert len(long.content.partition(b"\r\n\r\n")[2]) == LIMIT_BYTES + beyond
    for asked in ([header, last], [header, header, last], [long, last], [infer(SMALL, 1), long, long, last]):
        content = b"".join(each.content for each in asked)
        assert answers(conversation([(content, 0)]), asked) == expected(asked)


@pytest.mark.parametrize("turns", [0, 3, 20])
def test_who_sends_no_more_is_answered_but_nothing_is_computed_for_it(turns: int) -> None:
    """Nobody can tell a peer that waits for its answer after that from one that is gone."""
    for body in (infer(SMALL, 2).content, infer(LARGE, 3).content[:-1], infer(LARGE, 3).content[:30_000]):
        said = conversation([(get().content * 3 + body, turns)], half_closes=True)
        statuses = [status for status, _ in answers(said, [get()])]
        assert statuses[:3] == [200] * 3 and statuses[3:] in ([499], [200])
    for body in (b"", b"GET /v2 HTTP"):
        said = conversation([(get().content * 3 + body, turns)], half_closes=True)
        assert answers(said, [get()]) == [(200, None)] * 3
