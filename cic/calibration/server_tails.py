"""The tails of a calibration on a server: `cic serve` says with each answer what it took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from itertools import count
from pathlib import Path
from time import thread_time

from cic.calibration.tails import ServerTime
from cic.codec.codec import Payload
from cic.decision.cut import Cut
from cic.errors import LinkError, ProtocolError
from cic.protocol.answer import read_answer, read_failure
from cic.protocol.metadata import ServedTail
from cic.protocol.request import JSON_LENGTH, Coded, json_length, write_request
from cic.protocol.spoken_tail import largest_answer_bytes
from cic.session.http_connection import Reply
from cic.session.remote_server import RemoteServer
from cic.session.server_address import ServerAddress
from codegen.bundle.codecs import read_codecs
from codegen.manifest import read_manifest

PATIENCE_S = 120.0
_LARGEST_BYTES = 1 << 20
_US = 1e-6


class ServerTails:
    """Tails of a bundle on a server that answers with its times.

    name: what the names of its models begin with; None: as `cic serve` names them. batch: of all runs, if it is open.
    """

    def __init__(self, bundle: Path, address: ServerAddress, name: str | None = None, batch: int | None = None) -> None:
        self._bundle, self._manifest = bundle, read_manifest(bundle)
        self._remote = RemoteServer(address, self._manifest, name or self._manifest.name, batch)
        self._known: dict[str, ServedTail] = {}
        self._numbers = count(1)
        self.machine = str(address)
        self.engine = ""

    def run(self, cut: Cut, payloads: Sequence[Payload]) -> ServerTime:
        """Raises LinkError if the server cannot be reached, refuses, or does not say what it took."""
        tail = self._served(cut.id).tail
        codec_of = cut.codec_of
        names = [codec_of[wire.name] for wire in self._manifest.cut(cut.id).crossing]
        coded = [Coded(name, payload) for name, payload in zip(names, payloads, strict=True)]
        request_id = f"calibrate-{next(self._numbers)}"
        # Of the processor: what the link takes is no property of the device.
        began_s = thread_time()
        headers, buffers = write_request(tail, request_id, coded)
        path, largest = f"/v2/models/{tail.name}/infer", max(largest_answer_bytes(tail), _LARGEST_BYTES)
        reply = self._remote.pool.exchange("POST", path, headers, buffers, wait_s=PATIENCE_S, largest_bytes=largest)
        body = memoryview(_sound(reply).body)
        try:
            length = json_length(reply.headers.get(JSON_LENGTH.lower()), len(body), len(body))
            times = read_answer(body[:length], body[length:], tail, request_id).times
        except ProtocolError as error:
            raise LinkError(f"{self.machine}: {error}") from error
        asking_s = thread_time() - began_s
        if times is None:
            raise LinkError(f"{self.machine} does not say what an answer took it; calibrate with `cic serve`")
        return ServerTime(times.decode_us * _US, (times.compute_us + times.encode_us) * _US, asking_s)

    def close(self) -> None:
        """End the connections."""
        self._remote.close()

    def _served(self, cut_id: str) -> ServedTail:
        if cut_id not in self._known:
            stored = read_codecs(self._bundle, self._manifest, self._manifest.cut(cut_id))
            served = self._known[cut_id] = self._remote.learn(cut_id, stored, PATIENCE_S)
            path = f"/v2/models/{served.tail.name}"
            reply = self._remote.pool.exchange("GET", path, {}, wait_s=PATIENCE_S, largest_bytes=_LARGEST_BYTES)
            platform = json.loads(bytes(_sound(reply).body)).get("platform")
            self.engine = str(platform).removeprefix("cic_")
        return self._known[cut_id]


def _sound(reply: Reply) -> Reply:
    if reply.status != HTTPStatus.OK:
        raise LinkError(str(read_failure(reply.status, bytes(reply.body))))
    return reply
