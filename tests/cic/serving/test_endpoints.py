"""Each address answers what it is for, and everything else is refused with a status and one line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import cic
from cic.protocol.request import JSON_LENGTH
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.tail_server import TailServer
from tests.cic.protocol.spoken import changed
from tests.cic.serving.conftest import MODEL, Serving
from tests.cic.serving.talking import Reply, ask, connect, exchange, raw_request, sent, status_of, zeros

INFER = f"/v2/models/{MODEL}/infer"
TOKEN = "0123456789abcdef0123"


def parts(tail: SpokenTail) -> tuple[bytes, bytes]:
    """The JSON and the payloads of a proper request."""
    header, _, body = raw_request(tail, zeros(tail)).partition(b"\r\n\r\n")
    length = int(header.partition(f"{JSON_LENGTH}: ".encode())[2].split()[0])
    return body[:length], body[length:]


def infer(server: TailServer, text: bytes, payloads: bytes, **headers: str) -> Reply:
    own = {JSON_LENGTH: str(len(text)), **headers}
    return exchange(connect(server), INFER, text + payloads, {key.replace("_", "-"): value for key, value in own.items()})


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready"])
def test_health_is_an_empty_answer(server: TailServer, path: str) -> None:
    connection = connect(server)
    for method in ("GET", "HEAD"):
        reply = exchange(connection, path, method=method)
        assert (reply.status, reply.body) == (200, b"")


def test_the_server_and_its_models_are_described(server: TailServer) -> None:
    connection = connect(server)
    described = json.loads(exchange(connection, "/v2").body)
    assert described == {"name": "cic", "version": cic.__version__, "extensions": ["binary_tensor_data"]}
    for path in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/", f"/v2/models/{MODEL}/versions/1", f"/v2/models/{MODEL}?a=b"):
        model = json.loads(exchange(connection, path).body)
        assert model["name"] == MODEL and model["platform"] == "cic_torchscript" and model["parameters"]["cic_codecs"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/absent", 404),
        ("POST", "/v2/models/absent/infer", 404),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/models/../../etc/passwd", 404),
        ("GET", f"/v2/models/{MODEL}/versions/2", 404),
        ("GET", f"/v2/models/{MODEL}/config", 404),
        ("POST", "/v2/repository/index", 404),
        ("POST", f"/v2/repository/models/{MODEL}/load", 404),
        ("POST", f"/v2/repository/models/{MODEL}/unload", 404),
        ("POST", "/v2/logging", 404),
        ("GET", INFER, 405),
        ("PUT", INFER, 405),
        ("DELETE", f"/v2/models/{MODEL}", 405),
        ("POST", "/v2/health/live", 405),
        ("POST", "/metrics", 404),
        ("OPTIONS", "/v2", 405),
        ("TRACE", "/v2", 405),
    ],
)
def test_there_is_nothing_else(server: TailServer, method: str, path: str, status: int) -> None:
    reply = exchange(connect(server), path, method=method)
    assert reply.status in (status, 405) and reply.error
    assert reply.status != 405 or reply.headers["Allow"]


def test_a_connection_outlives_a_refusal_whose_body_was_read(server: TailServer, tail: SpokenTail) -> None:
    text, payloads = parts(tail)
    connection = connect(server)
    for _ in range(3):
        own = {JSON_LENGTH: str(len(text))}
        assert exchange(connection, INFER, changed(text, id=7)[: len(text)] + payloads, own).status == 400
        assert ask(connection, tail, zeros(tail)).outputs


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Encoding": "br"}, 415),
        ({JSON_LENGTH: "0"}, 400),
        ({JSON_LENGTH: "-1"}, 400),
        ({JSON_LENGTH: str(2**63)}, 400),
        ({JSON_LENGTH: "1e3"}, 400),
        ({JSON_LENGTH: "5"}, 400),
        ({"Expect": "100-continue"}, 200),
        ({"Expect": "a miracle"}, 200),
    ],
)
def test_headers_are_looked_at_first(server: TailServer, tail: SpokenTail, headers: dict[str, str], status: int) -> None:
    reply = infer(server, *parts(tail), **headers)
    assert reply.status == status, reply.body


def test_too_long_a_body_is_refused_before_it_is_read(server: TailServer, serving: Serving, tail: SpokenTail) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: "
    for length in (server.models[MODEL].largest_request_bytes + 1, 10**10, 10**30):
        began = time.perf_counter()
        assert status_of(sent(server, f"{head}{length}\r\n\r\n".encode())) in (413, 400)
        assert time.perf_counter() - began < 3
    small = serving(max_body=600)
    reply = infer(small, *parts(tail))
    assert reply.status == 413 and "at most 600 bytes" in reply.error


def test_a_body_in_chunks_is_refused(server: TailServer) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    assert status_of(sent(server, head.encode() + b"\r\n" + b"1\r\nx\r\n" * 1000)) == 411
    assert status_of(sent(server, head.encode() + b"Content-Length: 5\r\n\r\n0\r\n\r\n")) == 400


def test_a_token_is_asked_for(serving: Serving, tail: SpokenTail, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    server = serving(token_file=tmp_path / "token")
    connection = connect(server)
    assert exchange(connection, "/v2/health/ready").status == 200
    for path in ("/v2", "/metrics", f"/v2/models/{MODEL}", "/absent"):
        reply = exchange(connection, path)
        assert reply.status == 401 and reply.headers["WWW-Authenticate"] == "Bearer"
    for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer ü"):
        assert exchange(connection, "/v2", headers={"Authorization": wrong}).status == 401
    assert infer(server, *parts(tail)).status == 401
    for right in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
        assert exchange(connect(server), "/v2", headers={"Authorization": right}).status == 200
    assert ask(connect(server), tail, zeros(tail), headers={"Authorization": f"Bearer {TOKEN}"}).outputs


def test_numbers_are_counted(serving: Serving, tail: SpokenTail) -> None:
    server = serving()
    connection = connect(server)
    for _ in range(3):
        ask(connection, tail, zeros(tail))
    exchange(connection, "/absent")
    page = exchange(connection, "/metrics").body.decode()
    assert f'cic_requests_total{{model="{MODEL}",status="200"}} 3\n' in page
    assert 'cic_requests_total{model="",status="404"} 1\n' in page
    assert f'cic_stage_seconds_count{{model="{MODEL}",stage="compute"}} 3\n' in page
    assert "\ncic_queue_depth 0\n" in page and "\ncic_in_flight 1\n" in page and "\ncic_body_bytes 0\n" in page
    sizes = f'cic_request_bytes_total{{model="{MODEL}"}} {3 * sum(map(len, parts(tail)))}\n'
    assert sizes in page


def test_readiness_comes_after_all_tails(serving: Serving) -> None:
    """Before they are loaded, it lives and is not ready; here they are taken away again."""
    server = serving()
    tails, server.endpoints.tails = server.endpoints.tails, {}
    connection = connect(server)
    assert exchange(connection, "/v2/health/live").status == 200
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/ready"):
        reply = exchange(connection, path)
        assert reply.status == 503 and reply.headers["Retry-After"] == "1"
    server.endpoints.tails = tails
    assert exchange(connection, "/v2/health/ready").status == 200
