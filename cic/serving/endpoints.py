"""What the server answers at which address. There is none at which anything could be loaded, unloaded or named by a path.

    GET  /v2, /v2/health/live, /v2/health/ready, /v2/models/<name>, /v2/models/<name>/ready, /metrics
    POST /v2/models/<name>/infer

Health can be asked for without the token, all else needs it where there is one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field

from aiohttp import HttpVersion11, web

from cic.codec.codec import Payload
from cic.errors import ProtocolError
from cic.protocol.checked_json import compact
from cic.protocol.metadata import EXTENSIONS, metadata_of
from cic.protocol.request import JSON_LENGTH, RequestHead, json_length, read_request_head
from cic.serving.bearer_token import bears
from cic.serving.body_room import BodyRoom
from cic.serving.connection import Connection, refusal
from cic.serving.inference_worker import Answered, InferenceWorker, Job
from cic.serving.loaded_tails import LoadedTail, no_such_model
from cic.serving.metrics import CONTENT_TYPE, Metrics
from cic.serving.model_address import ABOUT, model_and_action
from cic.serving.request_body import read_body
from cic.serving.server_options import ServerOptions
from cic.serving.small_answer import SmallAnswer
from cic.version import VERSION

_SERVER = {"Server": "cic"}
_COME_AGAIN = {"Retry-After": "1"}
# Below, one copy is cheaper than a second write to the socket.
_WORTH_TWO_WRITES = 64 << 10
_READY, _LIVE, _METRICS, _INFER = "/v2/health/ready", "/v2/health/live", "/metrics", "infer"


@dataclass
class Endpoints:
    """The handler of all requests. tails: by name, empty until they are loaded. ending: no more requests are taken."""

    options: ServerOptions
    token: bytes | None
    worker: InferenceWorker
    room: BodyRoom
    tails: dict[str, LoadedTail] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    ending: bool = False

    @property
    def live(self) -> bool:
        return not self.worker.stuck(self.options.compute_timeout_s)

    @property
    def ready(self) -> bool:
        return bool(self.tails) and self.live and not self.ending

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        connection = _connection_of(request)
        connection.began(in_chunks="Transfer-Encoding" in request.headers)
        self.metrics.in_flight += 1
        model, action, response = "", "", None
        try:
            path = request.raw_path.partition("?")[0]
            model, action = model_and_action(path)
            model = model if model in self.tails else ""
            response = await self._answer(request, path, model, action)
        except ProtocolError as error:
            response = refusal(error.status, str(error), _headers_of(error.status, action), close=False)
        except ConnectionError:
            raise
        except Exception as error:  # nothing of it is for the peer  # noqa: BLE001
            print(
                f"cic: {type(error).__name__} at {request.method} {model or 'no model'}: {error}", file=sys.stderr, flush=True
            )
            response = refusal(500, "the server failed; its log says why")
        finally:
            connection.ended()
            self.metrics.in_flight -= 1
            self.metrics.requests[model, response.status if response is not None else 499] += 1
        if self._is_last(request):
            response.force_close()
        return response

    def _is_last(self, request: web.BaseRequest) -> bool:
        """Whether its connection is closed behind it, which must not depend on how its bytes come.

        What is left of a body that was not read cannot be told from the next request; nor where chunks end without reading
        them, or what a peer sends that has asked for another protocol.
        """
        odd = "Transfer-Encoding" in request.headers or "Upgrade" in request.headers
        return self.ending or odd or not request.content.at_eof()

    async def _answer(self, request: web.BaseRequest, path: str, model: str, action: str) -> web.StreamResponse:
        if path in (_LIVE, _READY):
            _check_method(request, "GET", "HEAD")
            fine = self.live if path == _LIVE else self.ready
            return web.Response(status=200 if fine else 503, headers={**_SERVER, **({} if fine else _COME_AGAIN)})
        if self.token is not None and not bears(request.headers.get("Authorization"), self.token):
            raise ProtocolError("this needs the header Authorization: Bearer and the server's token", 401)
        if action == _INFER:
            return await self._infer(request, self._tail(model))
        if action:
            return self._about(request, self._tail(model), action)
        _check_method(request, "GET", "HEAD")
        if path == "/v2":
            return _json({"name": "cic", "version": VERSION, "extensions": list(EXTENSIONS)})
        if path == _METRICS:
            return web.Response(body=self._metrics_page().encode(), headers={**_SERVER, "Content-Type": CONTENT_TYPE})
        raise ProtocolError("there is nothing at this address", 404)

    def _tail(self, model: str) -> LoadedTail:
        if not self.tails:
            raise ProtocolError("the tails are still being loaded", 503)
        if model not in self.tails:
            raise ProtocolError(no_such_model(self.tails), 404)
        return self.tails[model]

    def _about(self, request: web.BaseRequest, tail: LoadedTail, action: str) -> web.Response:
        _check_method(request, "GET", "HEAD")
        if action == "ready":
            return web.Response(status=200 if self.ready else 503, headers=_SERVER)
        if action == ABOUT:
            return _json(metadata_of(tail.spoken, tail.platform))
        raise ProtocolError("there is nothing at this address", 404)

    async def _infer(self, request: web.BaseRequest, tail: LoadedTail) -> web.StreamResponse:
        _check_method(request, "POST")
        began = time.perf_counter()
        length = _body_bytes(request, tail)
        json_bytes = json_length(request.headers.get(JSON_LENGTH), length, tail.largest_json_bytes)
        if self.ending:
            raise ProtocolError("the server is about to end", 503)
        self.worker.check_room(self.options.compute_timeout_s)
        if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0

        def read_head(text: memoryview) -> RequestHead:
            return read_request_head(text, length - json_bytes, tail.spoken)

        head, payloads = await read_body(request, length, json_bytes, self.options, self.room, read_head)
        try:
            self.worker.check_room(self.options.compute_timeout_s)
            received_us = round((time.perf_counter() - began) * 1e6)
            answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
            self.worker.submit(Job(tail, head, payloads, received_us, answer))
            _connection_of(request).awaits(answer)
            answered = await answer
        finally:
            self.room.taken -= length
        answer_bytes = sum(memoryview(buffer).nbytes for buffer in answered.buffers)
        response = await self._sent(request, answered, answer_bytes)
        self.metrics.answered(tail.spoken.name, answered.times, length, answer_bytes)
        return response

    async def _sent(self, request: web.BaseRequest, answered: Answered, size: int) -> web.StreamResponse:
        headers = {**_SERVER, **answered.headers}
        if size <= _WORTH_TWO_WRITES:
            return SmallAnswer(headers, answered.buffers)
        response = web.StreamResponse(headers={**headers, "Content-Length": str(size)})
        if self._is_last(request):
            response.force_close()
        await response.prepare(request)
        for buffer in answered.buffers:
            _connection_of(request).writes()
            await response.write(_whole(buffer))
        return response

    def _metrics_page(self) -> str:
        engines = sorted({tail.engine.name for tail in self.tails.values()})
        weights = sorted({tail.spoken.spoken_weights for tail in self.tails.values()})
        gauges = {
            "cic_queue_depth": ("Requests that wait for the one that is computed.", float(self.worker.waiting)),
            "cic_queue_places": ("So many may wait.", float(self.options.queue)),
            "cic_body_bytes": ("Bytes of bodies that are on their way or wait.", float(self.room.taken)),
            "cic_ready": ("1 if inferences are taken.", float(self.ready)),
        }
        return self.metrics.page(gauges, {"version": VERSION, "engine": ",".join(engines), "weights": ",".join(weights)})


def _body_bytes(request: web.BaseRequest, tail: LoadedTail) -> int:
    """How long the body says that it is. Raises ProtocolError unless it says so, and is not too long or compressed."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProtocolError("bodies are not decompressed here; give tensors a codec instead", 415)
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        raise ProtocolError("a request needs the header Content-Length; bodies in chunks are not read", 411)
    if len(length) > 15 or int(length) > tail.largest_request_bytes:
        raise ProtocolError(f"a request for {tail.spoken.name} has at most {tail.largest_request_bytes} bytes", 413)
    return int(length)


def _check_method(request: web.BaseRequest, *allowed: str) -> None:
    if request.method not in allowed:
        raise ProtocolError(f"this address takes {' and '.join(allowed)}", 405)


def _connection_of(request: web.BaseRequest) -> Connection:
    connection = request.protocol
    assert isinstance(connection, Connection), "the server makes its connections itself"
    return connection


def _headers_of(status: int, action: str) -> dict[str, str]:
    """What goes with a refusal."""
    allowed = {"Allow": "POST" if action == _INFER else "GET, HEAD"}
    return {503: _COME_AGAIN, 401: {"WWW-Authenticate": "Bearer"}, 405: allowed}.get(status, {})


def _json(value: object) -> web.Response:
    return web.Response(body=compact(value), headers={**_SERVER, "Content-Type": "application/json"})


def _whole(buffer: Payload) -> Payload:
    """A buffer as aiohttp writes it: arrays of other types than bytes are not."""
    return memoryview(buffer).cast("B") if isinstance(buffer, memoryview) and buffer.nbytes else buffer
