"""The server as a session sees it: tails by cut, asked over the Open Inference Protocol, and a small request for its health.

A server's names for the tensors are learned from its metadata, once a cut. So ours, a Triton with the exported repository and a
Ray Serve application are spoken to alike; one that tells no digests with its metadata has to tell them with its configuration.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from cic.codec.codec import Payload
from cic.codec.tensors import Array
from cic.errors import LinkError, ProtocolError
from cic.protocol.answer import Answer, read_answer, read_failure
from cic.protocol.metadata import ServedTail, check_configuration, read_metadata
from cic.protocol.request import JSON_LENGTH, Coded, coded_inputs, json_length, write_request
from cic.protocol.spoken_tail import SpokenTail, largest_answer_bytes, spoken_tail
from cic.session.connection_pool import ConnectionPool
from cic.session.http_connection import Look, Reply
from cic.session.link_estimate import Exchanged
from cic.session.server_address import ServerAddress
from codegen.manifest import Manifest

HEALTH = "/v2/health/ready"
_LARGEST_METADATA_BYTES = 1 << 20
_LARGEST_FAILURE_BYTES = 1 << 16
_US = 1e-6
_NO_SUCH_MODEL = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""With which servers answer who asks for a model that they do not have: Triton with the first, others with the second."""


class RefusedError(LinkError):
    """The server refused. status: of HTTP. wait_s: how long it asks to be left alone, None if it does not say."""

    def __init__(self, error: ProtocolError, wait_s: float | None) -> None:
        super().__init__(str(error))
        self.status, self.wait_s = error.status, wait_s


@dataclass(frozen=True)
class Answered:
    """A tail's answer. outputs: the returned tensors. seen: how the exchange went."""

    outputs: tuple[Array, ...]
    seen: Exchanged


class RemoteServer:
    """Tails of one bundle on one server. Thread-safe.

    prefix: of the models' names, by default `manifest.name`. batch: of all requests, if it is open.
    """

    def __init__(self, address: ServerAddress, manifest: Manifest, prefix: str, batch: int | None = None) -> None:
        self.pool = ConnectionPool(address)
        self._manifest, self._prefix, self._batch = manifest, prefix, batch
        self._tails: dict[str, ServedTail] = {}
        self._lock = threading.Lock()

    def known(self, cut_id: str) -> ServedTail | None:
        """What is known of a cut's tail there; None if it was not asked for yet."""
        return self._tails.get(cut_id)

    def learn(self, cut_id: str, stored: Mapping[str, bytes], wait_s: float) -> ServedTail:
        """Ask what the server calls a tail's tensors. stored: contents of codecs, as `LoadedCut.codecs`.

        Raises:
            RefusedError: it has no such tail, or one of another bundle. LinkError: it cannot be reached.
        """
        own = spoken_tail(self._manifest, cut_id, self._prefix, counted=True, stored=stored)
        served: ServedTail = _as_refusal(read_metadata, self._metadata(own.name, wait_s), own)
        if not served.codecs:
            configuration = self._get(f"/v2/models/{own.name}/config", wait_s)
            _as_refusal(check_configuration, bytes(configuration.body), own)
        served = replace(served, tail=served.tail.at_batch(self._batch))
        with self._lock:
            self._tails[cut_id] = served
        return served

    def _metadata(self, name: str, wait_s: float) -> bytes:
        try:
            return bytes(self._get(f"/v2/models/{name}", wait_s).body)
        except RefusedError as error:
            if error.status not in _NO_SUCH_MODEL:
                raise
            told = ProtocolError(
                f"{error}; it was asked for {name}: if its names begin otherwise, give a session name=…, a command --name",
                error.status,
            )
            raise RefusedError(told, error.wait_s) from error

    def forget(self) -> None:
        """Whatever was learned of the server may be another's by now."""
        with self._lock:
            self._tails.clear()

    def encode(self, tail: SpokenTail, arrays: Sequence[Array], codecs: Sequence[str]) -> tuple[Coded, ...]:
        """The payloads of crossing tensors. Raises CodecError for one that its codec does not take."""
        return coded_inputs(tail, arrays, codecs)

    def ask(
        self,
        tail: SpokenTail,
        request_id: str,
        coded: Sequence[Coded],
        *,
        wait_s: float,
        look: Look | None = None,
        turn: AbstractContextManager[Any] | None = None,
    ) -> Answered:
        """What the tail answers. wait_s, look, turn: see `HttpConnection.exchange`.

        Raises:
            OverdueError: it took too long. RefusedError: the server refuses, or its reply is not this tail's answer to this
            request. LinkError: it cannot be reached.
        """
        headers, buffers = write_request(tail, request_id, coded)
        reply = self.pool.exchange(
            "POST",
            f"/v2/models/{tail.name}/infer",
            headers,
            buffers,
            wait_s=wait_s,
            largest_bytes=max(largest_answer_bytes(tail), _LARGEST_FAILURE_BYTES),
            look=look,
            turn=turn,
        )
        _check(reply)
        answer = _as_refusal(_answer_of, reply, tail, request_id)
        return Answered(answer.outputs, _exchanged(reply, answer))

    def health(self, wait_s: float) -> Exchanged:
        """A small exchange. Raises RefusedError if the server is not ready, LinkError if it cannot be reached."""
        reply = self._get(HEALTH, wait_s)
        return Exchanged(reply.bytes_up, reply.bytes_down, reply.first_byte_s, reply.last_byte_s)

    def close(self) -> None:
        self.pool.close()

    def _get(self, path: str, wait_s: float) -> Reply:
        reply = self.pool.exchange("GET", path, {}, wait_s=wait_s, largest_bytes=_LARGEST_METADATA_BYTES, may_look_up=True)
        _check(reply)
        return reply


def _check(reply: Reply) -> None:
    if reply.status == HTTPStatus.OK:
        return
    after = reply.headers.get("retry-after", "")
    wait_s = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
    raise RefusedError(read_failure(reply.status, bytes(reply.body)), wait_s)


def _as_refusal(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ProtocolError as error:
        raise RefusedError(error, None) from error


def _answer_of(reply: Reply, tail: SpokenTail, request_id: str) -> Answer:
    body: Payload = memoryview(reply.body)
    length = json_length(reply.headers.get(JSON_LENGTH.lower()), len(body), len(body))
    return read_answer(memoryview(reply.body)[:length], memoryview(reply.body)[length:], tail, request_id)


def _exchanged(reply: Reply, answer: Answer) -> Exchanged:
    server_s = receive_s = 0.0
    if (times := answer.times) is not None:
        # The server may have lied, or its clock run away; it cannot have worked for longer than the whole took.
        worked_s = (times.queue_us + times.decode_us + times.compute_us + times.encode_us) * _US
        server_s = min(worked_s, reply.first_byte_s)
        receive_s = min(times.receive_us * _US, reply.first_byte_s - server_s)
    return Exchanged(reply.bytes_up, reply.bytes_down, reply.first_byte_s, reply.last_byte_s, server_s, receive_s)
