"""Others' client and others' server: tritonclient is answered rightly, and a real Triton judges requests as this server does.

`make test-triton` installs both.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from benchmarks.serving.real_triton import FOUND, served
from cic.codec.tensors import Array
from cic.protocol.answer import read_answer
from cic.protocol.metadata import check_configuration, read_metadata
from cic.protocol.request import JSON_LENGTH, coded_inputs, json_length, write_request
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.tail_server import TailServer
from codegen.loading import load_cut
from codegen.serving.triton_repository import write_triton_repository
from tests.cic.serving.conftest import MODEL
from tests.cic.serving.talking import OPENED, exchange
from tests.codegen.mixed_types import call

needs_client = pytest.mark.skipif(
    importlib.util.find_spec("tritonclient") is None, reason="no tritonclient here; make test-triton installs it"
)
needs_server = pytest.mark.skipif(FOUND is None, reason="no Triton server here; make test-triton installs one")


@pytest.fixture(scope="module")
def crossing(mixed_bundle: Path) -> list[Array]:
    cut = load_cut(mixed_bundle, "wide-1.2")
    return [tensor.numpy() for tensor in cut.head(*call())[: len(cut.crossing)]]


@pytest.fixture(scope="module")
def right(mixed_bundle: Path) -> list[Array]:
    cut = load_cut(mixed_bundle, "wide-1.2")
    return [tensor.numpy() for tensor in cut.run_tail_flat(cut.head(*call())[: len(cut.crossing)])]


@pytest.fixture(scope="module")
def triton(mixed_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("triton")
    write_triton_repository(mixed_bundle, folder / "repository")
    with served(folder / "repository", folder) as address:
        yield address


@needs_client
@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "numbers"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_tritonclient_gets_right_answers(
    server: TailServer, tail: SpokenTail, crossing: list[Array], right: list[Array], binary: bool
) -> None:
    """All outputs as bytes; of the numbers of JSON those that JSON has."""
    import tritonclient.http as client

    with client.InferenceServerClient(urlsplit(server.address).netloc) as session:
        assert session.is_server_live() and session.is_server_ready() and session.is_model_ready(MODEL)
        described = session.get_model_metadata(MODEL)
        assert [each["name"] for each in described["inputs"]] == [each.name for each in tail.inputs]
        inputs = []
        for each, array in zip(tail.inputs, crossing, strict=True):
            inputs.append(client.InferInput(each.name, list(each.shape), each.datatype))
            inputs[-1].set_data_from_numpy(array.reshape(each.shape), binary_data=binary)
        places = range(5) if binary else (0, 4)
        wanted = [client.InferRequestedOutput(tail.outputs[place].name, binary_data=binary) for place in places]
        for outputs in (wanted, None) if binary else (wanted,):
            answer = session.infer(MODEL, inputs, outputs=outputs, request_id="mine")
            assert answer.get_response()["id"] == "mine"
            for place in places:
                found, known = answer.as_numpy(tail.outputs[place].name), right[place]
                assert found.dtype == known.dtype and found.shape == (known.shape or (1,))
                np.testing.assert_allclose(found.reshape(known.shape), known, rtol=1e-4, atol=1e-5)


@needs_server
def test_a_device_speaks_to_triton_as_to_this_server(
    triton: str, tail: SpokenTail, crossing: list[Array], right: list[Array]
) -> None:
    connection = http.client.HTTPConnection(urlsplit(triton).netloc, timeout=60)
    OPENED.callback(connection.close)
    served_tail = read_metadata(exchange(connection, f"/v2/models/{MODEL}").body, tail)
    assert served_tail.tail == tail and not served_tail.codecs
    check_configuration(exchange(connection, f"/v2/models/{MODEL}/config").body, tail)
    headers, buffers = write_request(served_tail.tail, "7", coded_inputs(tail, crossing))
    reply = exchange(connection, f"/v2/models/{MODEL}/infer", b"".join(buffers), headers)
    assert reply.status == 200, reply.body
    length = json_length(reply.headers[JSON_LENGTH], len(reply.body), 1 << 20)
    answer = read_answer(reply.body[:length], memoryview(bytearray(reply.body[length:])), tail, "7")
    assert answer.times is None
    for one, other in zip(answer.outputs, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


HOSTILE = {
    "as it should be": {},
    "an input is missing": {"inputs": slice(0, 4)},
    "an input is there twice": {"inputs": [0, 0, 1, 2, 3]},
    "another name": {0: {"name": "INPUT__9"}},
    "another type": {0: {"datatype": "INT32"}},
    "no type there is": {0: {"datatype": "FLOAT"}},
    "another shape": {1: {"shape": [8, 3]}},
    "a negative shape": {1: {"shape": [-3, -8]}},
    "a shape of 2^31 elements": {1: {"shape": [2**16, 2**15]}},
    "a shape beyond 2^63": {1: {"shape": [2**32, 2**32]}},
    "a size that lies, shorter": {1: {"parameters": {"binary_data_size": 4}}},
    "a size that lies, longer": {1: {"parameters": {"binary_data_size": 10**6}}},
    "a negative size": {1: {"parameters": {"binary_data_size": -96}}},
    "a size beyond 2^63": {1: {"parameters": {"binary_data_size": 2**64}}},
    "neither size nor data": {1: {"parameters": {}}},
    "an output that there is not": {"outputs": [{"name": "OUTPUT__9"}]},
    "inputs are no list": {"inputs": "none"},
    "no JSON": b"no JSON",
    "an empty object": b"{}",
    "5000 levels": b'{"a":' * 5000,
}


def damaged(tail: SpokenTail, crossing: list[Array], name: str) -> tuple[bytes, bytes]:
    _, (text, *payloads) = write_request(tail, "1", coded_inputs(tail, crossing))
    plain = json.loads(bytes(text))
    del plain["parameters"]["cic_model"], plain["parameters"]["cic_weights"]
    change = HOSTILE[name]
    if isinstance(change, bytes):
        return change, b"".join(map(bytes, payloads))
    for key, value in change.items():
        if isinstance(key, int):
            plain["inputs"][key].update(value)
        elif isinstance(value, slice):
            plain[key] = plain[key][value]
        elif key == "inputs" and isinstance(value, list):
            plain[key] = [plain[key][place] for place in value]
        else:
            plain[key] = value
    return json.dumps(plain).encode(), b"".join(map(bytes, payloads))


@needs_server
@pytest.mark.parametrize("name", HOSTILE)
def test_triton_judges_requests_alike(
    name: str, triton: str, server: TailServer, tail: SpokenTail, crossing: list[Array]
) -> None:
    """Both answer or both refuse; where Triton cannot read the JSON, it says 500, as if the fault were its own.

    An output that is asked for twice is left out: Triton answers it.
    """
    text, payloads = damaged(tail, crossing, name)
    ours, theirs = (judged(address, text, payloads, str(len(text))) for address in (server.address, triton))
    assert ours // 100 == (2 if name == "as it should be" else 4)
    assert theirs // 100 in ((2,) if name == "as it should be" else (4, 5)), theirs


@needs_server
@pytest.mark.parametrize("header", ["-1", "x", str(2**63), "100000", "7"])
def test_triton_judges_the_length_of_the_json_alike(
    header: str, triton: str, server: TailServer, tail: SpokenTail, crossing: list[Array]
) -> None:
    """Length 0 is left out: there Triton takes the whole body for the one input of a model, and here it is no length."""
    text, payloads = damaged(tail, crossing, "as it should be")
    assert judged(server.address, text, payloads, header) == 400
    assert judged(triton, text, payloads, header) // 100 in (4, 5)


def judged(address: str, text: bytes, payloads: bytes, header: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        return exchange(connection, f"/v2/models/{MODEL}/infer", text + payloads, {JSON_LENGTH: header}).status
    finally:
        connection.close()


def test_what_makes_triton_end_is_refused_here(server: TailServer) -> None:
    """200,000 levels of JSON end a Triton of 2024, so it is not asked."""
    body = b'{"a":' * 200_000
    with socket.create_connection((urlsplit(server.address).hostname, urlsplit(server.address).port), timeout=20) as link:
        head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall(head.encode())
        assert link.recv(100).split()[1] == b"413"
