"""Answers come back as they were written; one that is wrong in anything is never taken for a result."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.tensors import Array
from cic.errors import ProtocolError
from cic.protocol.answer import Answer, ServerTimes, coded_outputs, read_answer, read_failure, write_answer, write_failure
from cic.protocol.request import JSON_LENGTH, RequestHead, Wanted
from cic.protocol.spoken_tail import SpokenTail, SpokenTensor, largest_answer_bytes
from codegen.split import WireTensor
from tests.cic.protocol.spoken import DTYPES, GREATEST, OPEN, TWO, changed, drawn_for, same_bits, tail_of
from tests.draws import draws

TIMES = ServerTimes(310, 12, 95, 2210, 8)


def head_for(tail: SpokenTail, *, binary: bool = True, ours: bool = True, request_id: str | None = "17") -> RequestHead:
    return RequestHead(request_id, (), tuple(Wanted(place, binary) for place in range(len(tail.outputs))), ours)


def written(tail: SpokenTail, arrays: tuple[Array, ...], head: RequestHead | None = None) -> tuple[bytes, bytes]:
    head = head or head_for(tail)
    headers, (text, *payloads) = write_answer(tail, head, coded_outputs(tail, head, arrays), TIMES)
    assert not payloads or int(headers[JSON_LENGTH]) == len(text)
    return bytes(text), b"".join(bytes(payload) for payload in payloads)


def read(text: bytes, payloads: bytes, tail: SpokenTail = TWO, request_id: str = "17") -> Answer:
    return read_answer(text, memoryview(bytearray(payloads)), tail, request_id)


TEXT, PAYLOADS = written(TWO, drawn_for(TWO.outputs))


@settings(max_examples=draws(200), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=4)), min_size=1, max_size=4))
def test_tensors_and_times_come_back(kinds: list[tuple[str, list[int]]]) -> None:
    tail = tail_of([("float32", (2,))], kinds)
    arrays = drawn_for(tail.outputs)
    text, payloads = written(tail, arrays)
    assert len(text) + len(payloads) <= largest_answer_bytes(tail)
    answer = read(text, payloads, tail)
    assert answer.times == TIMES
    assert all(same_bits(one, other) for one, other in zip(answer.outputs, arrays, strict=True))


def test_rows_that_the_data_decides_come_back_as_many_as_there_are() -> None:
    wire = WireTensor("rows", (5, 3), "float32", 60, (0,))
    tail = replace(TWO, outputs=(SpokenTensor("OUTPUT__0", wire),))
    for array in (np.ones((count, 3), np.float32) for count in (0, 2, 5)):
        for binary in (True, False):
            (read_back,) = read(*written(tail, (array,), head_for(tail, binary=binary)), tail).outputs
            assert same_bits(read_back, array)
    with pytest.raises(ProtocolError, match=r"shape \[6, 3\], the manifest says"):
        written(tail, (np.ones((6, 3), np.float32),))
    text, payloads = written(tail, (np.ones((2, 3), np.float32),))
    for shape in (b"[6,3]", b"[-1,3]", b"[2]", b"[3,3]"):
        with pytest.raises(ProtocolError):
            read(text.replace(b"[2,3]", shape), payloads, tail)


def test_numbers_of_json_come_back() -> None:
    values = (np.array([[1.5, -0.25, 1e-7, 3.4e38, 0]], np.float32), np.array(True))
    text, payloads = written(TWO, values, head_for(TWO, binary=False))
    assert payloads == b"" and json.loads(text)["outputs"][1]["data"] == [True]
    assert all(same_bits(one, other) for one, other in zip(read(text, payloads).outputs, values, strict=True))


def test_a_third_party_is_told_the_model_and_a_device_is_not() -> None:
    text, _ = written(TWO, drawn_for(TWO.outputs), head_for(TWO, ours=False, request_id=None))
    assert json.loads(text)["model_name"] == "net_cut-1" and "id" not in json.loads(text)
    assert json.loads(TEXT).keys() == {"id", "outputs", "parameters"}


def test_only_what_is_asked_for_is_sent() -> None:
    head = replace(head_for(TWO), wanted=(Wanted(1, False),))
    (given,) = coded_outputs(TWO, head, drawn_for(TWO.outputs))
    assert given.payload is None and given.described["name"] == "OUTPUT__1"


def test_the_answer_of_a_server_that_tells_no_times_is_read() -> None:
    """Triton's: other keys, outputs in any order, and no times."""
    answer = json.loads(TEXT)
    first, second = answer["outputs"]
    text = json.dumps({"model_name": "m", "model_version": "1", "id": "17", "outputs": [second, first]}).encode()
    found = read(text, PAYLOADS[-1:] + PAYLOADS[:-1])
    assert found.times is None
    assert all(same_bits(one, other) for one, other in zip(found.outputs, read(TEXT, PAYLOADS).outputs, strict=True))


OUTPUTS = json.loads(TEXT)["outputs"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"<html>", "is not JSON"),
        (b'{"a":' * 1500, "nested too deeply"),
        (b'{"a":' * 200_000, "the JSON of an answer has 1000000 bytes"),
        (changed(TEXT, id="18"), "has the id '18', the request had '17'"),
        (changed(TEXT, id=None), "has the id None"),
        (changed(TEXT, outputs=None), "an answer has the outputs None"),
        (changed(TEXT, outputs=OUTPUTS[:1]), "an answer has the outputs"),
        (changed(TEXT, outputs=OUTPUTS[:1] * 2), "once"),
        (changed(TEXT, outputs=[{**OUTPUTS[0], "shape": [5, 1]}, OUTPUTS[1]]), "of shape [5, 1]"),
        (changed(TEXT, outputs=[{**OUTPUTS[0], "datatype": "INT32"}, OUTPUTS[1]]), "'INT32'"),
        (changed(TEXT, outputs=[{**OUTPUTS[0], "parameters": {"binary_data_size": 2**40}}, OUTPUTS[1]]), "expected are 20"),
        (changed(TEXT, outputs=[{**OUTPUTS[0], "parameters": None}, OUTPUTS[1]]), "binary_data_size None"),
        (changed(TEXT, outputs=[{**OUTPUTS[0], "data": [1, 2]}, OUTPUTS[1]]), "data has 2 values"),
        (changed(TEXT, parameters={**json.loads(TEXT)["parameters"], "queue_us": -1}), "has the times"),
        (changed(TEXT, parameters={**json.loads(TEXT)["parameters"], "queue_us": 0.5}), "has the times"),
    ],
)
def test_what_does_not_answer_the_request_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(text, PAYLOADS)
    assert caught.value.status == 502 and told in str(caught.value)


@pytest.mark.parametrize("payloads", [b"", PAYLOADS[:-1], PAYLOADS + b"\0"])
def test_payloads_of_another_length_are_refused(payloads: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(TEXT, payloads)
    assert caught.value.status == 502


@settings(max_examples=draws(800), deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 7), st.booleans())
def test_damaged_answers_are_refused_or_right(place: int, bit: int, cut: bool) -> None:
    text = bytearray(TEXT)
    text[place] ^= 1 << bit
    try:
        answer = read(bytes(text[:place] if cut else text), PAYLOADS)
    except ProtocolError as error:
        assert error.status == 502
    else:
        assert all(same_bits(one, other) for one, other in zip(answer.outputs, read(TEXT, PAYLOADS).outputs, strict=True))


def test_a_tail_that_answers_what_the_manifest_has_not_is_found() -> None:
    first, second = drawn_for(TWO.outputs)
    for wrong in ((first,), (first.reshape(5, 1), second), (first.astype(np.float64), second)):
        with pytest.raises(ProtocolError, match="the manifest") as caught:
            coded_outputs(TWO, head_for(TWO), wrong)
        assert caught.value.status == 500


def test_values_that_json_has_not_are_refused() -> None:
    with pytest.raises(ProtocolError, match="not finite"):
        coded_outputs(TWO, head_for(TWO, binary=False), (np.full((1, 5), np.nan, np.float32), np.array(True)))


@pytest.mark.parametrize("message", ["one\nline\x1b[31m", "x" * 5000, 'quote " and \\ and ü'])
def test_a_failure_is_one_printable_line(message: str) -> None:
    body = write_failure(message)
    told = json.loads(body)["error"]
    assert told.isprintable() and len(told) <= 500
    assert told in str(read_failure(503, body)) and read_failure(503, body).status == 503


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"error": ["x"]}', b"[" * 100_000, b'{"error": "\\u001b[2J"}'])
def test_any_refusal_is_told_in_one_line(body: bytes) -> None:
    error: Any = read_failure(500, body)
    assert error.status == 500 and str(error).isprintable() and len(str(error)) < 600


@pytest.mark.parametrize("batch", [1, 3, GREATEST])
def test_answers_have_the_batch_of_their_request(batch: int) -> None:
    tail, outputs = OPEN.at_batch(batch), (np.arange(batch) % 2 == 0,)
    head = replace(head_for(OPEN), batch=batch)
    _, (text, *payloads) = write_answer(OPEN, head, coded_outputs(OPEN, head, outputs), ServerTimes(0, 0, 0, 0, 0))
    joined = memoryview(bytearray(b"".join(bytes(payload) for payload in payloads)))
    request_id = str(head.id)
    assert same_bits(read_answer(text, joined, tail, request_id).outputs[0], outputs[0])
    assert len(bytes(text)) + len(joined) <= largest_answer_bytes(OPEN)
    for other in {1, 3, GREATEST} - {batch}:
        with pytest.raises(ProtocolError):
            read_answer(text, joined, OPEN.at_batch(other), request_id)
        with pytest.raises(ProtocolError, match="the manifest says bool of shape"):
            coded_outputs(OPEN, replace(head, batch=other), outputs)
