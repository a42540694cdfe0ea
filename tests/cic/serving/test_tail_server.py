"""Tails of a bundle over real sockets: right answers, no more than fits, and an end that loses nothing."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cic.codec.tensors import Array
from cic.errors import ArtifactError, InputError, ProtocolError
from cic.protocol.metadata import read_metadata
from cic.protocol.request import coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from codegen.loading import load_cut
from tests.cic.serving.conftest import MODEL, Serving
from tests.cic.serving.talking import (
    ask,
    connect,
    exchange,
    open_socket,
    raw_request,
    status_of,
    until_closed,
    wait_until,
    zeros,
)
from tests.codegen.mixed_types import call


@pytest.fixture(scope="module")
def crossing(mixed_bundle: Path) -> list[Array]:
    cut = load_cut(mixed_bundle, "wide-1.2", format_name="torchscript")
    return [tensor.numpy() for tensor in cut.head(*call())[: len(cut.crossing)]]


@pytest.fixture(scope="module")
def right(mixed_bundle: Path) -> list[Array]:
    cut = load_cut(mixed_bundle, "wide-1.2", format_name="torchscript")
    return [tensor.numpy() for tensor in cut.run_tail_flat(cut.head(*call())[: len(cut.crossing)])]


def same(answers: tuple[Array, ...], right: list[Array]) -> bool:
    return all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5)
        for one, other in zip(answers, right, strict=True)
    )


def test_every_tail_is_served_and_answers_rightly(
    server: TailServer, mixed_bundle: Path, tail: SpokenTail, crossing: list[Array], right: list[Array]
) -> None:
    assert set(server.models) == {"mixed_server-only", MODEL}
    connection = connect(server)
    for number in range(3):
        answer = ask(connection, tail, crossing, request_id=str(number))
        assert same(answer.outputs, right) and answer.times is not None and answer.times.compute_us > 0
    whole = load_cut(mixed_bundle, "server-only", format_name="torchscript").run_tail_flat(call())
    answer = ask(connection, server.models["mixed_server-only"].spoken, [tensor.numpy() for tensor in call()])
    assert same(answer.outputs, [tensor.numpy() for tensor in whole])


def test_tails_of_onnx_answer_under_the_names_of_their_graphs(onnx_bundle: Path) -> None:
    cut = load_cut(onnx_bundle, "cut-1")
    results = cut.run_head_flat([np.eye(4, dtype=np.float32) + 0.5, np.zeros(2, np.float32)])
    with TailServer(onnx_bundle, ServerOptions(port=0, engine="onnxruntime", name="plumbing")) as server:
        tail = server.models["plumbing_cut-1"].spoken
        assert [each.name for each in tail.inputs] == [wire.name for wire in cut.crossing]
        answer = ask(connect(server), tail, results[: len(cut.crossing)])
        assert same(answer.outputs, list(cut.run_tail_flat(results[: len(cut.crossing)])))


def test_tensors_may_cross_under_codecs(
    server: TailServer, tail: SpokenTail, crossing: list[Array], right: list[Array]
) -> None:
    codecs = ["int8+zlib" if each.wire.dtype == "float32" else "raw+zlib" for each in tail.inputs]
    answer = ask(connect(server), tail, crossing, codecs)
    assert np.abs(answer.outputs[0] - right[0]).max() < 0.05 * np.abs(right[0]).max()


def test_numbers_of_json_are_answered_by_numbers(
    server: TailServer, tail: SpokenTail, crossing: list[Array], right: list[Array]
) -> None:
    """As a person asks with curl; of the outputs only those that JSON has."""
    inputs = [
        {"name": each.name, "shape": list(each.shape), "datatype": each.datatype, "data": array.reshape(-1).tolist()}
        for each, array in zip(tail.inputs, crossing, strict=True)
    ]
    wanted = [{"name": "OUTPUT__0"}, {"name": "OUTPUT__4"}]
    body = json.dumps({"inputs": inputs, "outputs": wanted}).encode()
    reply = exchange(connect(server), f"/v2/models/{MODEL}/infer", body)
    answer = json.loads(reply.body)
    assert reply.status == 200 and answer["model_name"] == MODEL and "id" not in answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], right[0].reshape(-1), rtol=1e-4)
    assert answer["outputs"][1]["data"] == right[4].tolist()


def test_a_device_learns_the_names_from_the_server(server: TailServer, tail: SpokenTail) -> None:
    reply = exchange(connect(server), f"/v2/models/{MODEL}")
    assert read_metadata(reply.body, tail).tail.inputs == tail.inputs


def test_another_bundle_is_refused_before_anything_is_computed(serving: Serving, tail: SpokenTail) -> None:
    server = serving(does=lambda: pytest.fail("computed"))
    connection = connect(server)
    other = replace(tail, weights_digest="00" * 32)
    own, buffers = write_request(other, "1", coded_inputs(other, zeros(other)))
    reply = exchange(connection, f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
    assert reply.status == 409 and "give both sides the same bundle" in reply.error


def test_whoever_finds_the_queue_full_is_told_to_come_again(serving: Serving, tail: SpokenTail, right: list[Array]) -> None:
    release = threading.Event()
    server = serving(does=lambda: release.wait(20), queue=2)

    def one(number: int) -> tuple[int, float, str | None]:
        own, buffers = write_request(tail, str(number), coded_inputs(tail, zeros(tail)))
        began = time.perf_counter()
        reply = exchange(connect(server), f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
        return reply.status, time.perf_counter() - began, reply.headers["Retry-After"]

    with ThreadPoolExecutor(12) as pool:
        first = [pool.submit(one, 0)]
        wait_until(lambda: server.endpoints.worker.stuck(0))
        first += [pool.submit(one, number) for number in (1, 2)]
        wait_until(lambda: server.endpoints.worker.full)
        refused = [one(number) for number in range(3, 9)]
        assert exchange(connect(server), "/v2/health/ready").status == 200
        release.set()
        assert [each.result()[0] for each in first] == [200] * 3
    assert [(status, again) for status, _, again in refused] == [(503, "1")] * 6
    assert sorted(seconds for _, seconds, _ in refused)[3] < 0.5


def test_a_tail_that_fails_is_told_in_one_line(serving: Serving, tail: SpokenTail, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError("secret\nTraceback (most recent call last)")

    server = serving(does=fail)
    connection = connect(server)
    for _ in range(2):
        own, buffers = write_request(tail, "1", coded_inputs(tail, zeros(tail)))
        reply = exchange(connection, f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
        assert reply.status == 500 and "secret" not in reply.error and "Traceback" not in reply.error
    assert f"cic: {MODEL}: RuntimeError: secret" in capfd.readouterr().err
    assert ask(connection, server.models["mixed_server-only"].spoken, [tensor.numpy() for tensor in call()]).outputs


def test_no_memory_for_an_inference_is_no_end(serving: Serving, tail: SpokenTail) -> None:
    def fail() -> None:
        raise MemoryError

    own, buffers = write_request(tail, "1", coded_inputs(tail, zeros(tail)))
    reply = exchange(connect(serving(does=fail)), f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
    assert reply.status == 503 and reply.headers["Retry-After"] == "1"


def test_a_server_that_is_stuck_says_so_and_lives_again(serving: Serving, tail: SpokenTail) -> None:
    release = threading.Event()
    server = serving(does=lambda: release.wait(20), compute_timeout_s=0.2)
    own, buffers = write_request(tail, "1", coded_inputs(tail, zeros(tail)))
    reply = exchange(connect(server), f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
    assert reply.status == 503 and "stuck" in reply.error
    connection = connect(server)
    assert exchange(connection, "/v2/health/live").status == exchange(connection, "/v2/health/ready").status == 503
    release.set()
    wait_until(lambda: exchange(connection, "/v2/health/live").status == 200)
    assert ask(connection, tail, zeros(tail)).outputs


def test_requests_of_peers_that_are_gone_are_not_computed(serving: Serving, tail: SpokenTail) -> None:
    release = threading.Event()
    server = serving(does=lambda: release.wait(20))
    links = [open_socket(server) for _ in range(4)]
    for link in links:
        link.sendall(raw_request(tail, zeros(tail)))
    wait_until(lambda: server.endpoints.worker.waiting == 3)
    for link in links:
        link.close()
    wait_until(lambda: server.endpoints.metrics.in_flight == 0)
    release.set()
    assert ask(connect(server), tail, zeros(tail)).outputs
    assert server.models[MODEL].engine.runs == 2  # type: ignore[attr-defined]


def test_what_is_in_flight_at_the_end_is_answered(mixed_bundle: Path, serving: Serving, tail: SpokenTail) -> None:
    began = threading.Event()
    server = serving(does=lambda: (began.set(), time.sleep(0.2)), body_timeout_s=10)
    uploading, idle = open_socket(server), open_socket(server)
    content = raw_request(tail, zeros(tail))
    uploading.sendall(content[:-10])
    idle.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(idle.recv(1000)) == 200
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(lambda: ask(connect(server), tail, zeros(tail)))
        assert began.wait(10)
        stopping = pool.submit(lambda: server.__exit__(None, None, None))
        wait_until(lambda: server.endpoints.ending)
        assert until_closed(idle) == b""
        uploading.sendall(content[-10:])
        said = until_closed(uploading)
        assert asking.result().outputs
        stopping.result()
    assert status_of(said) == 200
    with pytest.raises(OSError):
        open_socket(server)


def test_many_clients_at_once_get_each_its_own_answer(server: TailServer, tail: SpokenTail) -> None:
    """Reply and request are told apart by content, not by id alone."""

    def one(number: int) -> bool:
        connection, arrays = connect(server), zeros(tail)
        arrays[0] = np.full(arrays[0].shape, number, arrays[0].dtype)
        return all(
            (ask(connection, tail, arrays, request_id=f"{number}-{turn}").outputs[4] == number).all() for turn in range(15)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(1, 9)))


def test_a_bundle_without_tails_is_not_served(tmp_path: Path, mixed_bundle: Path) -> None:
    with pytest.raises(ArtifactError, match="is not an emitted model"), TailServer(tmp_path, ServerOptions(port=0)):
        pass
    with pytest.raises(ProtocolError, match="cannot be part of an address"):
        TailServer(mixed_bundle, ServerOptions(port=0, name="two words")).__enter__()


def test_an_address_that_is_taken_is_named(server: TailServer, mixed_bundle: Path) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(InputError, match=f"cannot listen at 127.0.0.1 port {port}"):
        TailServer(mixed_bundle, ServerOptions(port=port)).__enter__()


def test_under_overload_what_is_answered_comes_in_time_and_then_all_is_as_before(serving: Serving, tail: SpokenTail) -> None:
    server = serving(does=lambda: time.sleep(0.01), queue=2)
    end_s = time.perf_counter() + 0.8

    def client(number: int) -> list[tuple[int, float]]:
        own, buffers = write_request(tail, str(number), coded_inputs(tail, zeros(tail)))
        seen = []
        while time.perf_counter() < end_s:
            began_s = time.perf_counter()
            reply = exchange(connect(server), f"/v2/models/{MODEL}/infer", b"".join(buffers), own)
            assert reply.status == 200 or reply.headers["Retry-After"] == "1"
            seen.append((reply.status, time.perf_counter() - began_s))
        return seen

    with ThreadPoolExecutor(12) as pool:
        seen = [each for replies in pool.map(client, range(12)) for each in replies]
    assert {status for status, _ in seen} == {200, 503}
    # Two that wait and one that is computed; the rest is for twelve clients on one processor.
    assert max(took_s for status, took_s in seen if status == 200) < 1
    assert all(ask(connect(server), tail, zeros(tail)).outputs for _ in range(5))
    assert server.endpoints.room.taken == 0 and server.endpoints.metrics.in_flight == 0
