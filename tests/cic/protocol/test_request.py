"""Requests come back as they were written; nothing else gets through, and nobody's word is taken for a size."""

from __future__ import annotations

import copy
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.registry import codec
from cic.codec.tensors import tensor_of
from cic.errors import CodecError, ProtocolError
from cic.protocol.request import JSON_LENGTH, coded_inputs, json_length, read_request, write_request
from cic.protocol.spoken_tail import largest_request_bytes
from tests.cic.protocol.spoken import DTYPES, GREATEST, OPEN, TWO, changed, drawn, drawn_for, request_bytes, same_bits, tail_of
from tests.draws import draws

CODECS = ("raw", "raw+zlib", "raw+zstd", "fp16", "int8+zstd", "int8-channel", "int4+zlib", "int4-clip")
STATUSES = {400, 409, 413, 415}
TEXT, PAYLOADS = request_bytes(TWO, drawn_for(TWO.inputs))
DEEP = b'{"a":' * 200_000


def read(text: bytes, payloads: bytes = PAYLOADS, tail: Any = TWO) -> Any:
    return read_request(text, memoryview(bytearray(payloads)), tail)


@settings(max_examples=draws(200), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=4)), min_size=1, max_size=4),
    st.text(max_size=40),
    st.randoms(use_true_random=False),
)
def test_tensors_come_back_bit_by_bit(kinds: list[tuple[str, list[int]]], request_id: str, random: Any) -> None:
    tail = tail_of(kinds, [("float32", (3,))])
    arrays = drawn_for(tail.inputs, random.randrange(1000))
    headers, (text, *payloads) = write_request(tail, request_id, coded_inputs(tail, arrays))
    assert int(headers[JSON_LENGTH]) == len(text)
    joined = b"".join(bytes(payload) for payload in payloads)
    assert int(headers["Content-Length"]) == len(text) + len(joined) <= largest_request_bytes(tail)
    request = read(text, joined, tail)
    assert request.head.id == request_id and request.head.ours and request.head.wanted[0].binary
    assert all(same_bits(one, other) for one, other in zip(request.arrays, arrays, strict=True))


@settings(max_examples=draws(150), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CODECS), st.lists(st.integers(0, 9), max_size=4)), min_size=1, max_size=4))
def test_tensors_come_back_as_their_codecs_give_them(kinds: list[tuple[str, list[int]]]) -> None:
    tail = tail_of([("float32", shape) for _, shape in kinds])
    names = [name for name, _ in kinds]
    arrays = [np.random.default_rng(0).standard_normal(shape, np.float32) for _, shape in kinds]
    text, payloads = request_bytes(tail, arrays, names)
    assert len(text) + len(payloads) <= largest_request_bytes(tail)
    for name, array, found in zip(names, arrays, read(text, payloads, tail).arrays, strict=True):
        assert same_bits(found, codec(name).decode(bytes(codec(name).encode(array)), array.shape, "float32"))


def test_bfloat16_crosses_under_codecs_that_compute_with_its_values() -> None:
    tail = tail_of([("bfloat16", (2, 50))])
    values = torch.linspace(-1, 1, 100).reshape(2, 50).bfloat16()
    (found,) = read(*request_bytes(tail, [values.view(torch.int16).numpy().view(np.uint16)], ["int8"]), tail).arrays
    assert found.dtype == np.uint16
    assert (tensor_of(found, "bfloat16").float() - values.float()).abs().max() < 0.02


def test_a_tensor_that_is_sent_as_it_is_stays_where_it_lies() -> None:
    tail = tail_of([("float32", (64,))])
    text, payloads = request_bytes(tail, [drawn("float32", (64,))])
    memory = bytearray(payloads)
    (array,) = read_request(text, memoryview(memory), tail).arrays
    array[0] = 7
    assert memory[:4] == np.float32(7).tobytes()
    (array,) = read_request(text, memoryview(bytearray(1) + payloads)[1:], tail).arrays
    assert array.flags.aligned and same_bits(array, drawn("float32", (64,)))


def test_a_request_of_a_third_party_is_read() -> None:
    tensors = [
        {"name": "INPUT__1", "shape": [4], "datatype": "INT64", "data": [4, 3, 2, 1]},
        {"name": "INPUT__0", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2.5, 3], [4, 5, 6]]},
    ]
    request = read(json.dumps({"inputs": tensors}).encode(), b"")
    assert request.head.id is None and not request.head.ours and not any(each.binary for each in request.head.wanted)
    np.testing.assert_array_equal(request.arrays[0], np.array([[1, 2.5, 3], [4, 5, 6]], np.float32))
    np.testing.assert_array_equal(request.arrays[1], [4, 3, 2, 1])


def test_outputs_are_given_as_they_are_asked_for() -> None:
    asked = [{"name": "OUTPUT__1", "parameters": {"binary_data": False}}, {"name": "OUTPUT__0"}]
    wanted = read(changed(TEXT, outputs=asked)).head.wanted
    assert [(each.place, each.binary) for each in wanted] == [(1, False), (0, True)]
    assert [each.place for each in read(changed(TEXT, outputs=asked[:1])).head.wanted] == [1]


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        (DEEP, 413, "the JSON of a request has 1000000 bytes"),
        (b'{"a":' * 1500, 400, "nested too deeply"),
        (TEXT[:-1], 400, "is not JSON"),
        (TEXT + b"}", 400, "is not JSON"),
        (b"\xff\xfe", 400, "is not JSON"),
        (b"[]", 400, "is a list"),
        (b'{"id": 1, "id": 2}', 400, "same key twice"),
        (b'{"inputs": NaN}', 400, "the number NaN"),
        (b'{"inputs": 1e400}', 400, "the number 1e400"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", 400, "the number 999"),
        (changed(TEXT, id=17), 400, "id is 17"),
        (changed(TEXT, id="i" * 257), 400, "id is 'iiii"),
        (changed(TEXT, parameters=[]), 400, "parameters of the request are []"),
        (changed(TEXT, parameters={"cic_weights": "0" * 16}), 409, "give both sides the same bundle"),
        (changed(TEXT, parameters={"cic_model": None}), 409, "give both sides the same bundle"),
        (changed(TEXT, parameters={"binary_data_output": 1}), 400, "expected is true or false"),
        (changed(TEXT, inputs={}), 400, "inputs are {}"),
        (changed(TEXT, inputs=[]), 400, "inputs are 0"),
        (changed(TEXT, outputs=[]), 400, "outputs are []"),
        (changed(TEXT, outputs=[{"name": "OUTPUT__0"}] * 2), 400, "once"),
        (changed(TEXT, outputs=[{"name": "OUTPUT__2"}]), 400, "an output is {'name': 'OUTPUT__2'}"),
        (changed(TEXT, outputs=[{"name": "OUTPUT__0", "parameters": {"classification": 1}}]), 400, "classification"),
    ],
)
def test_what_is_no_request_is_refused(text: bytes, status: int, told: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(text)
    assert caught.value.status == status and told in str(caught.value)
    assert len(str(caught.value)) < 400


FIRST = json.loads(TEXT)["inputs"][0]


@pytest.mark.parametrize(
    ("other", "status", "told"),
    [
        ({"name": "INPUT__1"}, 400, "of shape [2, 3]"),
        ({"name": "INPUT__7"}, 400, "once"),
        ({"name": ["INPUT__0"]}, 400, "once"),
        ({"shape": [3, 2]}, 400, "of shape [3, 2]"),
        ({"shape": [-2, -3]}, 400, "of shape [-2, -3]"),
        ({"shape": [2.0, 3]}, 400, "of shape [2.0, 3]"),
        ({"shape": [True, 3]}, 400, "of shape [True, 3]"),
        ({"shape": [2**31, 2**31, 2**31]}, 400, "of shape"),
        ({"shape": "23"}, 400, "of shape '23'"),
        ({"datatype": "FP64"}, 400, "'FP64'"),
        ({"datatype": {}}, 400, "{} of shape"),
        ({"parameters": {"binary_data_size": 23}}, 400, "binary_data_size 23"),
        ({"parameters": {"binary_data_size": 2**63}}, 400, "binary_data_size 9223"),
        ({"parameters": {"binary_data_size": -24}}, 400, "binary_data_size -24"),
        ({"parameters": {"binary_data_size": True}}, 400, "binary_data_size True"),
        ({"parameters": {"binary_data_size": 24.0}}, 400, "binary_data_size 24.0"),
        ({"parameters": {"binary_data_size": 12, "codec": "raw+zlib"}}, 400, "the inputs have 44 bytes"),
        ({"parameters": {"binary_data_size": 26, "codec": "raw+zlib"}}, 400, "it has 1 to 25 bytes"),
        ({"parameters": {"binary_data_size": 24, "codec": "int8"}}, 400, "cannot be decoded"),
        ({"parameters": {"binary_data_size": 24, "codec": "lz77"}}, 415, "there is no codec 'lz77'"),
        ({"parameters": {"binary_data_size": 24, "codec": 8}}, 415, "the name of a codec is a text"),
        ({"parameters": {"binary_data_size": 24, "codec": "transform-0.03@" + "0" * 64}}, 415, "stored here"),
        ({"parameters": {}}, 400, "neither data nor binary_data_size"),
        ({"parameters": 3}, 400, "parameters of INPUT__0 are 3"),
        ({"data": [0.0] * 6}, 400, "both data and binary_data_size"),
    ],
)
def test_an_input_that_is_not_as_the_manifest_says_is_refused(other: dict[str, Any], status: int, told: str) -> None:
    inputs = [{**FIRST, **other}, json.loads(TEXT)["inputs"][1]]
    with pytest.raises(ProtocolError) as caught:
        read(changed(TEXT, inputs=inputs))
    assert caught.value.status == status and told in str(caught.value)


def test_a_codec_that_does_not_take_the_type_is_refused() -> None:
    second = {**json.loads(TEXT)["inputs"][1], "parameters": {"binary_data_size": 5, "codec": "int8"}}
    with pytest.raises(ProtocolError, match="which int8 does not take") as caught:
        read(changed(TEXT, inputs=[FIRST, second]))
    assert caught.value.status == 415


@pytest.mark.parametrize("payloads", [b"", PAYLOADS[:-1], PAYLOADS + b"\0"])
def test_payloads_of_another_length_are_refused(payloads: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"the inputs have 56 bytes by their binary_data_size, the body holds \d+"):
        read(TEXT, payloads)


@pytest.mark.parametrize("header", ["", "0", "-1", "+5", " 5", "5.0", "1e1", "²", "101", str(2**63), "9" * 5000])
def test_a_length_of_the_json_that_the_body_has_not_is_refused(header: str) -> None:
    with pytest.raises(ProtocolError, match=JSON_LENGTH) as caught:
        json_length(header, 100, 1000)
    assert caught.value.status == 400 and len(str(caught.value)) < 300


def test_the_length_of_the_json_is_that_of_the_header_or_of_the_body() -> None:
    assert (json_length("7", 100, 1000), json_length(None, 100, 1000)) == (7, 100)
    with pytest.raises(ProtocolError, match="at most 99") as caught:
        json_length(None, 100, 99)
    assert caught.value.status == 413


HOSTILE = (
    None,
    True,
    -1,
    0,
    2**63,
    10**39,
    1.5,
    "",
    "INPUT__0",
    "codec",
    [],
    [[]],
    {},
    {"name": []},
    "\u0000\ud800",
    ["x"] * 50,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("path", [path for path in places(json.loads(TEXT)) if path], ids=str)
def test_every_field_may_hold_anything(path: tuple[Any, ...]) -> None:
    """Each field in turn is left out, doubled, or holds something else: a typed error, or the tensors that were sent."""
    for hostile in (*HOSTILE, "left out"):
        request = copy.deepcopy(json.loads(TEXT))
        holder = request
        for key in path[:-1]:
            holder = holder[key]
        if hostile == "left out":
            del holder[path[-1]]
        else:
            holder[path[-1]] = hostile
        refused_or_right(json.dumps(request).encode(), PAYLOADS)


@settings(max_examples=draws(1000), deadline=None)
@given(st.data())
def test_damaged_requests_are_refused_or_right(data: st.DataObject) -> None:
    message = bytearray(TEXT)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(message) - 1))
        way = data.draw(st.sampled_from(["flip", "insert", "delete", "double"]))
        if way == "flip":
            message[place] ^= 1 << data.draw(st.integers(0, 7))
        elif way == "insert":
            message[place:place] = data.draw(st.sampled_from([b"9", b"-", b"0", b"{", b"[", b'"', b"e99", b"\\u0000", b","]))
        elif way == "delete":
            del message[place : place + data.draw(st.integers(1, 20))]
        else:
            message[place:place] = message[place : place + data.draw(st.integers(1, 60))]
    refused_or_right(bytes(message), PAYLOADS)


@settings(max_examples=draws(500), deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=80))
def test_any_payload_is_refused_or_a_tensor(name: str, payload: bytes) -> None:
    tail = tail_of([("float32", (2, 8))])
    text, _ = request_bytes(tail, [drawn("float32", (2, 8))])
    (entry,) = json.loads(text)["inputs"]
    entry["parameters"] = {"binary_data_size": len(payload), "codec": name}
    try:
        (array,) = read(changed(text, inputs=[entry]), payload, tail).arrays
    except ProtocolError as error:
        assert error.status in STATUSES
    else:
        assert (array.shape, array.dtype) == ((2, 8), np.float32)


def refused_or_right(text: bytes, payloads: bytes) -> None:
    """A digest or the id may be damaged unseen, and the order of the outputs is free; tensors may not."""
    try:
        request = read(text, payloads)
    except ProtocolError as error:
        assert error.status in STATUSES and len(str(error)) < 500
        return
    assert [(array.shape, array.dtype) for array in request.arrays] == [((2, 3), np.float32), ((4,), np.int64)]


def test_no_memory_is_taken_by_a_peers_word() -> None:
    """A megabyte of tensor by the manifest, whatever sizes a request has: less than ten are taken, and a bomb is no use."""
    tail = tail_of([("float32", (512, 512))])
    text, _ = request_bytes(tail, [np.zeros((512, 512), np.float32)])
    (entry,) = json.loads(text)["inputs"]
    bomb = b"\x02" + zlib.compress(bytes(30_000_000), 1)
    entry["parameters"] = {"binary_data_size": len(bomb), "codec": "raw+zlib"}
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        read(changed(text, inputs=[entry]), bomb, tail)
    entry["shape"] = [2**31, 2**31]
    with pytest.raises(ProtocolError):
        read(changed(text, inputs=[entry]), bomb, tail)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


def test_other_tensors_are_not_sent() -> None:
    with pytest.raises(ProtocolError, match="takes 2 tensors, given are 1"):
        coded_inputs(TWO, [drawn("float32", (2, 3))])
    with pytest.raises(ProtocolError, match="is float64 of shape"):
        coded_inputs(TWO, [drawn("float64", (2, 3)), drawn("int64", (4,))])
    with pytest.raises(CodecError, match="there is no codec"):
        coded_inputs(TWO, drawn_for(TWO.inputs), ["raw", "lz77"])


# ----------------------------------------------------------------------------------------------------------- open batches


@pytest.mark.parametrize("batch", [1, 3, GREATEST])
@pytest.mark.parametrize("codecs", [(), ("int8+zlib", "raw+zlib")])
def test_tensors_of_any_batch_come_back(batch: int, codecs: tuple[str, ...]) -> None:
    tail = OPEN.at_batch(batch)
    arrays = (np.random.default_rng(0).random((batch, 3), np.float32), np.arange(8 * batch).reshape(4, 2 * batch))
    text, payloads = request_bytes(tail, arrays, codecs)
    assert len(text) + len(payloads) <= largest_request_bytes(OPEN)
    request = read(text, payloads, OPEN)
    assert request.head.batch == batch
    for one, other in zip(request.arrays, arrays, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 if codecs else 0)
    numbers = [{"name": each.name, "shape": list(array.shape), "datatype": each.datatype, "data": array.ravel().tolist()}
               for each, array in zip(tail.inputs, arrays, strict=True)]  # fmt: skip
    told = json.dumps({"inputs": numbers}).encode()
    assert all(same_bits(one, other) for one, other in zip(read(told, b"", OPEN).arrays, arrays, strict=True))


BATCHES: dict[str, tuple[bytes, bytes]] = {
    "a greater one": (b"[3,3]", b"[9,3]"),
    "none": (b"[3,3]", b"[0,3]"),
    "two at once": (b"[4,6]", b"[4,4]"),
    "half a one": (b"[4,6]", b"[4,5]"),
    "an open one": (b"[3,3]", b"[-1,3]"),
    "another size": (b"[3,3]", b"[3,4]"),
    "a huge one": (b"[3,3]", b"[3000000000000,3]"),
}


@pytest.mark.parametrize("case", BATCHES)
def test_other_batches_are_refused(case: str) -> None:
    arrays = drawn_for(OPEN.at_batch(3).inputs)
    text, payloads = request_bytes(OPEN.at_batch(3), arrays)
    before, after = BATCHES[case]
    assert before in text
    with pytest.raises(ProtocolError) as refused:
        read(text.replace(before, after), payloads, OPEN)
    assert refused.value.status == 400
