"""A tail's answer: JSON that describes the returned tensors and says what took how long, then their values as bytes.

    {"id": "17", "outputs": [{"name": "OUTPUT__0", "shape": [1, 1000], "datatype": "FP32",
                              "parameters": {"binary_data_size": 4000}}],
     "parameters": {"receive_us": 310, "queue_us": 12, "decode_us": 95, "compute_us": 2210, "encode_us": 8}}

What is no answer is {"error": "one line"} under a status of HTTP that is not 200.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np

from cic.codec.codec import Payload
from cic.codec.registry import codec
from cic.codec.tensors import Array, carrier, name_of
from cic.errors import CodecError, ProtocolError
from cic.protocol.checked_json import compact, one_line, read_object, shown
from cic.protocol.json_values import array_of_json, json_of_array
from cic.protocol.request import JSON_LENGTH, RAW, RequestHead, check_described
from cic.protocol.spoken_tail import SpokenTail, SpokenTensor, largest_json_bytes

# What a device tells of a server that answers what it should not.
_BAD_ANSWER = 502
_LONGEST_ERROR = 500
_LARGEST_TIME_US = 2**53


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """What a request's time on the server was spent on, in microseconds: until its last byte was there, waiting for its turn,
    decoding its payloads, computing, and making the bytes of the answer."""

    receive_us: int
    queue_us: int
    decode_us: int
    compute_us: int
    encode_us: int


@dataclass(frozen=True)
class Answer:
    """outputs: the returned tensors, in the manifest's order. times: None if the server does not tell."""

    outputs: tuple[Array, ...]
    times: ServerTimes | None


@dataclass(frozen=True, slots=True)
class Given:
    """An output that is to be sent: as the JSON describes it, and its bytes unless its values stand in the JSON."""

    described: dict[str, Any]
    payload: Payload | None


def coded_outputs(tail: SpokenTail, head: RequestHead, outputs: Sequence[Array]) -> tuple[Given, ...]:
    """The outputs that a request asks for, as they are sent; outputs: all of the tail's, in the manifest's order.

    Raises ProtocolError for values that are to be JSON and are none, and with the status 500 for a tensor that the manifest
    has otherwise.
    """
    tail = tail.at_batch(head.batch)
    if len(outputs) != len(tail.outputs):
        raise ProtocolError(f"{tail.name} answers {len(outputs)} tensors, the manifest has {len(tail.outputs)}", 500)
    given = []
    for wanted in head.wanted:
        tensor, array = tail.outputs[wanted.place], outputs[wanted.place]
        held = (tensor.wire.dtype, carrier(tensor.wire.dtype).name)
        if not tensor.wire.fits(array.shape) or name_of(array.dtype) not in held:
            raise ProtocolError(
                f"{tail.name} answers {tensor.name} as {array.dtype.name} of shape {list(array.shape)}, the manifest says"
                f" {tensor.wire.dtype} of shape {list(tensor.wire.shape)}",
                500,
            )
        described = {"name": tensor.name, "shape": list(array.shape or (1,)), "datatype": tensor.datatype}
        if wanted.binary:
            payload = memoryview(codec(RAW).encode(array, tensor.wire.name))
            given.append(Given({**described, "parameters": {"binary_data_size": len(payload)}}, payload))
        else:
            data = json_of_array(array, tensor.wire.of_shape(array.shape), tensor.name)
            given.append(Given({**described, "data": data}, None))
    return tuple(given)


def write_answer(
    tail: SpokenTail, head: RequestHead, given: Sequence[Given], times: ServerTimes
) -> tuple[dict[str, str], list[Payload]]:
    """The headers of HTTP that an answer needs, and its body as buffers to be sent one after another."""
    answer: dict[str, Any] = {} if head.ours else {"model_name": tail.name, "model_version": "1"}
    if head.id is not None:
        answer["id"] = head.id
    answer["outputs"] = [each.described for each in given]
    answer["parameters"] = {field.name: getattr(times, field.name) for field in fields(ServerTimes)}
    text = compact(answer)
    payloads = [each.payload for each in given if each.payload is not None]
    if not payloads:
        return {"Content-Type": "application/json"}, [text]
    return {JSON_LENGTH: str(len(text))}, [text, *payloads]


def read_answer(text: bytes | bytearray | memoryview, payloads: memoryview, tail: SpokenTail, request_id: str) -> Answer:
    """The answer to the request with that id, whose JSON is `text` and whose payloads follow it (`json_length` of request).

    Arrays own their memory, or share that of `payloads`. Of a type that numpy lacks they hold the bits as integers.
    Raises ProtocolError with the status 502 unless it answers that request with exactly the tensors of the manifest.
    """
    if len(text) > (largest := largest_json_bytes(tail)):
        raise ProtocolError(f"the JSON of an answer has {len(text)} bytes, of {tail.name} at most {largest}", _BAD_ANSWER)
    try:
        answer = read_object(text, "the JSON of the answer")
        outputs, end = _outputs(answer.get("outputs"), payloads, tail)
    except (ProtocolError, CodecError) as error:
        raise ProtocolError(str(error), _BAD_ANSWER) from None
    if answer.get("id") != request_id:
        raise ProtocolError(f"an answer has the id {shown(answer.get('id'))}, the request had {request_id!r}", _BAD_ANSWER)
    if end != len(payloads):
        raise ProtocolError(f"the outputs have {end} bytes, the answer holds {len(payloads)}", _BAD_ANSWER)
    return Answer(outputs, _times(answer.get("parameters")))


def write_failure(message: str) -> bytes:
    """The body of a refusal: the message as one line, whatever it holds."""
    return compact({"error": one_line(message, _LONGEST_ERROR)})


def read_failure(status: int, body: bytes) -> ProtocolError:
    """The error that an answer with another status than 200 is; its text is printable and one line."""
    try:
        text = read_object(body[: 4 * _LONGEST_ERROR], "the answer").get("error")
    except ProtocolError:
        text = None
    told = (
        text if isinstance(text, str) else "what answers there may be no server of tails; is the address that of `cic serve`?"
    )
    return ProtocolError(f"the server refuses with the status {status}: {one_line(told, _LONGEST_ERROR)}", status)


def _outputs(described: Any, payloads: memoryview, tail: SpokenTail) -> tuple[tuple[Array, ...], int]:
    known = {tensor.name: tensor for tensor in tail.outputs}
    if not isinstance(described, list) or len(described) != len(known):
        raise ProtocolError(f"an answer has the outputs {shown(described)}, {tail.name} has {', '.join(known)}")
    arrays: dict[str, Array] = {}
    end = 0
    for entry in described:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in known or name in arrays:
            raise ProtocolError(f"an answer has the output {shown(entry)}, {tail.name} has each of {', '.join(known)} once")
        arrays[name], end = _output(entry, known[name], payloads, end)
    return tuple(arrays[name] for name in known), end


def _output(entry: dict[str, Any], tensor: SpokenTensor, payloads: memoryview, begin: int) -> tuple[Array, int]:
    check_described(entry, tensor)
    wire = tensor.wire.of_shape(entry["shape"])
    if "data" in entry:
        return array_of_json(entry["data"], wire, tensor.name), begin
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if type(size) is not int or size != prod(wire.shape) * carrier(wire.dtype).itemsize or begin + size > len(payloads):
        raise ProtocolError(
            f"{tensor.name} has the binary_data_size {shown(size)} of {len(payloads) - begin} bytes that are left,"
            f" expected are {wire.bytes}"
        )
    payload = payloads[begin : begin + size]
    array: Array = np.frombuffer(payload, carrier(wire.dtype).newbyteorder("<")).reshape(wire.shape)
    usable = array.flags.aligned and array.flags.writeable and array.dtype.isnative and wire.dtype != "bool"
    return array if usable else codec(RAW).decode(payload, wire.shape, wire.dtype, wire.name), begin + size


def _times(parameters: Any) -> ServerTimes | None:
    """The times that our server tells; what others say under `parameters` is theirs."""
    names = [field.name for field in fields(ServerTimes)]
    if not isinstance(parameters, dict) or any(name not in parameters for name in names):
        return None
    values = [parameters[name] for name in names]
    if any(type(value) is not int or not 0 <= value < _LARGEST_TIME_US for value in values):
        raise ProtocolError(f"an answer has the times {shown(values)}, expected are microseconds", _BAD_ANSWER)
    return ServerTimes(*values)
