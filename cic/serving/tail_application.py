"""Tails behind a web server of somebody else's: what is answered to a method, a path, headers and a body, in plain Python.

The same protocol as `cic serve` speaks (`cic.serving.endpoints`), for those who bring their own HTTP: Ray Serve, say. Timeouts,
connections and TLS are the business of that server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cic.codec.codec import Payload
from cic.errors import ProtocolError
from cic.protocol.checked_json import compact
from cic.protocol.metadata import EXTENSIONS, metadata_of
from cic.protocol.request import JSON_LENGTH, json_length, read_request_head
from cic.serving.bearer_token import bears, read_token
from cic.serving.inference_worker import Answered, InferenceWorker, Job
from cic.serving.loaded_tails import LoadedTail, no_such_model
from cic.serving.model_address import ABOUT, model_and_action
from cic.serving.server_options import ServerOptions
from cic.version import VERSION

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """What is sent back. body: buffers, one after another."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: tuple[Payload, ...] = ()


class TailApplication:
    """All tails of a bundle, loaded and warm, behind one worker with a bounded queue.

    Of the options those of the network have no meaning here.
    Raises ArtifactError, EngineError, InputError and ProtocolError as `cic.serving.tail_server.TailServer` does.
    """

    def __init__(self, bundle: Path, options: ServerOptions) -> None:
        self._options = options
        self._token = None if options.token_file is None else read_token(options.token_file)
        self._worker = InferenceWorker(options.queue)
        self._tails = self._worker.start(bundle, options).result()

    @property
    def live(self) -> bool:
        """Whether no inference has taken too long, and does still."""
        return not self._worker.stuck(self._options.compute_timeout_s)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Reply:
        """The reply to one request, whatever it is. headers: with names in lower case. path: without a query."""
        try:
            return await self._answer(method, path, headers, body)
        except ProtocolError as error:
            again = {"Retry-After": "1"} if error.status == 503 else {}
            return Reply(error.status, {**_JSON, **again}, (compact({"error": str(error)}),))
        except Exception as error:  # nothing of it is for the peer  # noqa: BLE001
            print(f"cic: {type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr, flush=True)
            return Reply(500, _JSON, (compact({"error": "the server failed; its log says why"}),))

    async def _answer(self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Reply:
        if path in ("/v2/health/live", "/v2/health/ready"):
            return Reply(200 if self.live else 503)
        if self._token is not None and not bears(headers.get("authorization"), self._token):
            raise ProtocolError("this needs the header Authorization: Bearer and the server's token", 401)
        if path == "/v2":
            return _json({"name": "cic", "version": VERSION, "extensions": list(EXTENSIONS)})
        model, action = model_and_action(path)
        if model not in self._tails:
            raise ProtocolError(no_such_model(self._tails), 404)
        tail = self._tails[model]
        if action == "infer":
            if method != "POST":
                raise ProtocolError("this address takes POST", 405)
            return await self._infer(tail, headers, body)
        if action == "ready":
            return Reply(200 if self.live else 503)
        if action == ABOUT:
            return _json(metadata_of(tail.spoken, tail.platform))
        raise ProtocolError("there is nothing at this address", 404)

    async def _infer(self, tail: LoadedTail, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Reply:
        began = time.perf_counter()
        self._worker.check_room(self._options.compute_timeout_s)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ProtocolError("bodies are not decompressed here; give tensors a codec instead", 415)
        content = await _read(body, tail)
        json_bytes = json_length(headers.get(JSON_LENGTH.lower()), len(content), tail.largest_json_bytes)
        whole = memoryview(content)
        head = read_request_head(whole[:json_bytes], len(content) - json_bytes, tail.spoken)
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        received_us = round((time.perf_counter() - began) * 1e6)
        self._worker.submit(Job(tail, head, whole[json_bytes:], received_us, answer))
        answered = await answer
        return Reply(200, answered.headers, tuple(answered.buffers))


async def _read(body: AsyncIterator[bytes], tail: LoadedTail) -> bytearray:
    """A body, of which no more is kept than a request for this tail can have."""
    content = bytearray()
    async for piece in body:
        content += piece
        if len(content) > tail.largest_request_bytes:
            raise ProtocolError(f"a request for {tail.spoken.name} has at most {tail.largest_request_bytes} bytes", 413)
    return content


def _json(value: object) -> Reply:
    return Reply(200, _JSON, (compact(value),))
