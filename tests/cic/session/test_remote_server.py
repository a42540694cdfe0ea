"""The server of the product is spoken to: names are learned, tails asked, refusals typed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cic.engine.engine import Array
from cic.engine.opening import open_half
from cic.errors import LinkError
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from cic.session.remote_server import RefusedError, RemoteServer
from cic.session.server_address import server_address
from codegen.manifest import Manifest, read_manifest
from tests.cic.conftest import Project
from tests.cic.session.scripted_server import replying, scripted


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[str]:
    with TailServer(project.split, ServerOptions(port=0)) as server:
        yield server.address


@pytest.fixture
def manifest(project: Project) -> Manifest:
    return read_manifest(project.split)


@pytest.fixture
def remote(served: str, manifest: Manifest) -> Iterator[RemoteServer]:
    server = RemoteServer(server_address(served), manifest, manifest.name)
    yield server
    server.close()


@pytest.mark.parametrize("codec", ["raw", "int8", "raw+zlib"])
def test_a_tail_answers_as_it_does_here(remote: RemoteServer, project: Project, image: Array, codec: str) -> None:
    head, tail = open_half(project.split, "cut-01", "head"), open_half(project.split, "cut-01", "tail")
    results = head.run([image])
    assert remote.known("cut-01") is None
    named = remote.learn("cut-01", head.cut.codecs, 5.0)
    assert remote.known("cut-01") is named and named.codecs
    coded = remote.encode(named.tail, results, [codec])
    answered = remote.ask(named.tail, "7", coded, wait_s=5.0)
    expected = tail.run(results)
    assert np.allclose(answered.outputs[0], expected[0], rtol=1e-4, atol=0.1 if codec == "int8" else 1e-5)
    seen = answered.seen
    assert 0 < seen.server_s < seen.first_byte_s <= seen.last_byte_s and seen.receive_s + seen.server_s <= seen.first_byte_s
    assert seen.bytes_up > memoryview(coded[0].payload).nbytes
    # What a request and an answer have beside their payloads: on a slow link every byte counts.
    assert seen.bytes_up - memoryview(coded[0].payload).nbytes < 520 and seen.bytes_down - expected[0].nbytes < 450
    remote.forget()
    assert remote.known("cut-01") is None


def test_health_is_small(remote: RemoteServer) -> None:
    seen = remote.health(5.0)
    assert seen.first_byte_s > 0 and seen.bytes_up < 120 and seen.bytes_down < 250


def test_refusals_have_their_status(remote: RemoteServer, project: Project, manifest: Manifest, served: str) -> None:
    another = RemoteServer(server_address(served), manifest, "another")
    told = r"there are Small_.*; it was asked for another_cut-01: if its names begin otherwise, give a session name=…"
    with pytest.raises(RefusedError, match=told) as caught:
        another.learn("cut-01", {}, 5.0)
    assert caught.value.status == 404
    another.close()
    named = remote.learn("cut-01", {}, 5.0)
    crossing = np.zeros(manifest.cut("cut-01").crossing[0].shape, np.float32)
    other = type(named.tail)(
        named.tail.name, "cut-01", named.tail.inputs, named.tail.outputs, named.tail.model_digest, "0" * 64
    )  # fmt: skip
    with pytest.raises(RefusedError, match="the same bundle") as caught:
        remote.ask(other, "8", remote.encode(other, [crossing], ()), wait_s=5.0)
    assert caught.value.status == 409


def test_what_another_program_says_is_no_answer(manifest: Manifest) -> None:
    for reply in (b"<html>", b"[]", b"{}", b'{"name": "Small_cut-01"}'):
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply)
        with scripted(replying(whole)) as url:
            server = RemoteServer(server_address(url), manifest, manifest.name)
            with pytest.raises(LinkError):
                server.learn("cut-01", {}, 5.0)
            server.close()


@pytest.mark.parametrize(("after", "wait_s"), [("5", 5.0), ("soon", None), ("-1", None), ("9" * 30, None)])
def test_a_busy_server_says_how_long(manifest: Manifest, after: str, wait_s: float | None) -> None:
    reply = f"HTTP/1.1 503 Busy\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n".encode()
    with scripted(replying(reply)) as url:
        server = RemoteServer(server_address(url), manifest, manifest.name)
        with pytest.raises(RefusedError) as caught:
            server.health(5.0)
        assert caught.value.wait_s == wait_s
        server.close()
