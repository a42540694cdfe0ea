"""Behind a web server of somebody else's, tails answer as `cic serve` does, and refuse as it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from cic.codec.tensors import carrier
from cic.errors import ArtifactError
from cic.protocol.answer import read_answer
from cic.protocol.metadata import read_metadata
from cic.protocol.request import JSON_LENGTH, coded_inputs, json_length, write_request
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.server_options import ServerOptions
from cic.serving.tail_application import Reply, TailApplication

MODEL = "mixed_wide-1.2"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def application(mixed_bundle: Path) -> TailApplication:
    return TailApplication(mixed_bundle, ServerOptions(engine="torchscript"))


def asked(
    application: TailApplication, path: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "GET"
) -> Reply:
    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 100):
            yield body[begin : begin + 100]

    told = {name.lower(): value for name, value in (headers or {}).items()}
    return asyncio.run(application.answer(method, path, told, pieces()))


def whole(reply: Reply) -> bytes:
    return b"".join(bytes(buffer) for buffer in reply.body)


@pytest.fixture
def tail(application: TailApplication) -> SpokenTail:
    return application._tails[MODEL].spoken


def request_of(tail: SpokenTail) -> tuple[dict[str, str], bytes, list[np.ndarray]]:
    given = [np.ones(each.wire.shape, carrier(each.wire.dtype)) for each in tail.inputs]
    headers, buffers = write_request(tail, "7", coded_inputs(tail, given))
    return headers, b"".join(bytes(buffer) for buffer in buffers), given


def test_an_inference_is_answered_as_the_engine_does(application: TailApplication, tail: SpokenTail):
    headers, body, given = request_of(tail)
    reply = asked(application, f"/v2/models/{MODEL}/infer", body, headers, "POST")
    content = whole(reply)
    assert reply.status == 200, content
    length = json_length(reply.headers.get(JSON_LENGTH), len(content), len(content))
    answer = read_answer(content[:length], memoryview(content)[length:], tail, "7")
    for ours, theirs in zip(answer.outputs, application._tails[MODEL].engine.run(given), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_it_says_of_a_tail_is_what_a_session_reads(application: TailApplication, tail: SpokenTail):
    reply = asked(application, f"/v2/models/{MODEL}")
    assert read_metadata(whole(reply), tail).codecs
    assert json.loads(whole(asked(application, "/v2")))["name"] == "cic"
    for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}/versions/1/ready"):
        assert asked(application, path).status == 200


def test_what_is_wrong_is_refused_in_one_line(application: TailApplication, tail: SpokenTail):
    headers, body, _ = request_of(tail)
    infer = f"/v2/models/{MODEL}/infer"
    refused: Iterator[tuple[int, Reply]] = iter(
        (
            (404, asked(application, "/v2/models/none")),
            (404, asked(application, "/etc/passwd")),
            (404, asked(application, f"/v2/models/{MODEL}/load", method="POST")),
            (405, asked(application, infer)),
            (400, asked(application, infer, b"{", method="POST")),
            (400, asked(application, infer, body[:-1], headers, "POST")),
            (413, asked(application, infer, body + bytes(10_000_000), headers, "POST")),
            (415, asked(application, infer, body, {**headers, "Content-Encoding": "gzip"}, "POST")),
        )
    )
    for status, reply in refused:
        assert reply.status == status
        assert "\n" not in json.loads(whole(reply))["error"]


def test_a_token_is_asked_for_where_there_is_one(mixed_bundle: Path, tmp_path: Path):
    (tmp_path / "token").write_text(TOKEN)
    application = TailApplication(mixed_bundle, ServerOptions(engine="torchscript", token_file=tmp_path / "token"))
    assert asked(application, "/v2").status == 401
    assert asked(application, "/v2/health/ready").status == 200
    assert asked(application, "/v2", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_a_bundle_that_cannot_be_loaded_is_told(tmp_path: Path):
    with pytest.raises(ArtifactError):
        TailApplication(tmp_path / "none.split", ServerOptions())
