"""A request for a tail's answer: JSON that describes the crossing tensors, then their payloads, one after another.

    {"id": "17", "parameters": {"cic_model": "…", "cic_weights": "…", "binary_data_output": true},
     "inputs": [{"name": "INPUT__0", "shape": [1, 64, 28, 28], "datatype": "FP32",
                 "parameters": {"binary_data_size": 12544, "codec": "int8+zstd"}}]}

Without a codec a payload is the tensor's values, little-endian; shape and datatype are those of the tensor, not of its payload.
A request of a third party without our parameters is as good. Nothing that a request says is believed: sizes are compared with
those of the manifest, and a codec's payload is decoded to the shape and the type of the manifest or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cic.codec.codec import Codec, Payload
from cic.codec.registry import codec
from cic.codec.tensors import Array, carrier, name_of, tensor_of
from cic.codec.transform.transform_codec import full_name, short_name
from cic.errors import CodecError, ProtocolError
from cic.protocol.checked_json import compact, read_object, shown
from cic.protocol.json_values import array_of_json, check_writable
from cic.protocol.spoken_tail import LONGEST_ID, SpokenTail, SpokenTensor, largest_json_bytes

JSON_LENGTH = "Inference-Header-Content-Length"
"""The HTTP header that says how long the JSON is; without it all of a body is JSON."""

RAW = "raw"


@dataclass(frozen=True, slots=True)
class Coded:
    """A crossing tensor as it is sent: the name of its codec, as `cic.codec.registry` has it, and its payload."""

    codec: str
    payload: Payload


@dataclass(frozen=True)
class Sent:
    """A crossing tensor as a request has it: bytes `begin` to `end` of the payloads under a codec, or values of the JSON."""

    codec: Codec
    begin: int = 0
    end: int = 0
    values: Array | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that a request asks for: its place among the tail's, and whether as bytes or as numbers of JSON."""

    place: int
    binary: bool


@dataclass(frozen=True)
class RequestHead:
    """What a request's JSON says, checked against the tail.

    id: to be repeated; None if there is none. sent: in the order of the tail's inputs. wanted: in the order of the answer.
    ours: whether a device of CIC asks, which knows the model and needs not be told its name.
    batch: how many are asked about together, at most as many as the manifest says; None if shapes are fixed.
    """

    id: str | None
    sent: tuple[Sent, ...]
    wanted: tuple[Wanted, ...]
    ours: bool
    batch: int | None = None


@dataclass(frozen=True)
class Request:
    """A request with its crossing tensors as arrays, in the order of the tail's inputs."""

    head: RequestHead
    arrays: tuple[Array, ...]


def coded_inputs(tail: SpokenTail, arrays: Sequence[Array], codecs: Sequence[str] = ()) -> tuple[Coded, ...]:
    """Encode the crossing tensors; memory of those that are sent as they are is not copied.

    arrays: of the manifest's shapes and types; of a type that numpy lacks (bfloat16) arrays of the integers that hold its
        bits. codecs: a name each, as a decision has them; none if all are sent as they are.
    Raises ProtocolError for other tensors, CodecError for an unknown codec or a tensor that it does not take.
    """
    names = tuple(codecs) or (RAW,) * len(tail.inputs)
    if not len(arrays) == len(names) == len(tail.inputs):
        raise ProtocolError(
            f"{tail.name} takes {len(tail.inputs)} tensors, given are {len(arrays)} with the codecs of {len(names)}"
        )
    return tuple(
        Coded(name, codec(name, tail.stored).encode(_typed(array, tensor, name), tensor.wire.name))
        for tensor, array, name in zip(tail.inputs, arrays, names, strict=True)
    )


def write_request(tail: SpokenTail, request_id: str, coded: Sequence[Coded]) -> tuple[dict[str, str], list[Payload]]:
    """The headers of HTTP that a request needs, and its body as buffers to be sent one after another."""
    inputs = []
    for tensor, each in zip(tail.inputs, coded, strict=True):
        parameters: dict[str, Any] = {"binary_data_size": memoryview(each.payload).nbytes}
        if each.codec != RAW:
            parameters["codec"] = short_name(each.codec, tail.stored)
        inputs.append({"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype, "parameters": parameters})
    parameters = {"cic_model": tail.spoken_model, "cic_weights": tail.spoken_weights, "binary_data_output": True}
    text = compact({"id": request_id, "parameters": parameters, "inputs": inputs})
    buffers = [text, *(each.payload for each in coded)]
    total = sum(memoryview(buffer).nbytes for buffer in buffers)
    return {JSON_LENGTH: str(len(text)), "Content-Length": str(total)}, buffers


def json_length(header: str | None, body_bytes: int, largest: int) -> int:
    """How many bytes of a body of `body_bytes` are JSON, by the value of the header `JSON_LENGTH`, None if there is none.

    Raises ProtocolError unless that is a number of bytes that the body has, and at most `largest`.
    """
    if header is None:
        length = body_bytes
    elif not (header.isascii() and header.isdigit() and len(header) <= 15 and 0 < int(header) <= body_bytes):
        raise ProtocolError(f"{JSON_LENGTH} is {shown(header)}, expected is 1 to the {body_bytes} bytes of the body")
    else:
        length = int(header)
    if length > largest:
        raise ProtocolError(f"the JSON of a request has {length} bytes, for this model at most {largest}", 413)
    return length


def read_request(text: bytes | bytearray | memoryview, payloads: memoryview, tail: SpokenTail) -> Request:
    """The request whose JSON is `text`, and whose payloads follow it; errors as `read_request_head` and `decoded_inputs`."""
    head = read_request_head(text, len(payloads), tail)
    return Request(head, decoded_inputs(head, payloads, tail))


def read_request_head(text: bytes | bytearray | memoryview, payload_bytes: int, tail: SpokenTail) -> RequestHead:
    """What the JSON of a request says, before its payloads, of `payload_bytes` in all, are looked at.

    Raises ProtocolError with the status 409 if the request is for a tail of another model or of other weights, 415 for a
    codec that is not known here, 413 for too much of something, and 400 for all else that is not as it should be.
    """
    if len(text) > (largest := largest_json_bytes(tail)):
        raise ProtocolError(f"the JSON of a request has {len(text)} bytes, for this model at most {largest}", 413)
    request = read_object(text, "the JSON of the request")
    parameters = _object(request, "parameters", "the request")
    _check_digests(parameters, tail)
    request_id = request.get("id")
    if request_id is not None and (not isinstance(request_id, str) or len(request_id) > LONGEST_ID):
        raise ProtocolError(f"id is {shown(request_id)}, expected is a text of at most {LONGEST_ID} letters")
    batch = _batch(request.get("inputs"), tail)
    tail = tail.at_batch(batch)
    sent, end = _sent(request.get("inputs"), tail)
    if end != payload_bytes:
        raise ProtocolError(f"the inputs have {end} bytes by their binary_data_size, the body holds {payload_bytes}")
    binary = _truth(parameters, "binary_data_output", "the request", default=False)
    return RequestHead(request_id, sent, _wanted(request.get("outputs"), binary, tail), "cic_model" in parameters, batch)


def decoded_inputs(head: RequestHead, payloads: memoryview, tail: SpokenTail) -> tuple[Array, ...]:
    """The crossing tensors; one that is sent as it is stays where it lies in `payloads`, if numpy can use it there.

    Raises ProtocolError naming the tensor whose payload is none of its codec's.
    """
    arrays = []
    for tensor, sent in zip(tail.at_batch(head.batch).inputs, head.sent, strict=True):
        try:
            arrays.append(_decoded(sent, payloads, tensor) if sent.values is None else sent.values)
        except CodecError as error:
            raise ProtocolError(f"{tensor.name} cannot be decoded: {error}") from None
        except MemoryError:
            raise ProtocolError(
                f"{tensor.name} cannot be decoded: there is no memory for its {tensor.wire.bytes} bytes", 503
            ) from None
    return tuple(arrays)


def _decoded(sent: Sent, payloads: memoryview, tensor: SpokenTensor) -> Array:
    wire, payload = tensor.wire, payloads[sent.begin : sent.end]
    if sent.codec.name == RAW and wire.dtype != "bool":
        array: Array = np.frombuffer(payload, carrier(wire.dtype).newbyteorder("<")).reshape(wire.shape)
        if array.flags.aligned and array.flags.writeable and array.dtype.isnative:
            return array
    return sent.codec.decode(payload, wire.shape, wire.dtype, wire.name)


def _typed(array: Array, tensor: SpokenTensor, codec_name: str) -> Any:
    """The tensor as its codec takes it. Raises ProtocolError unless it is of the manifest's shape and type."""
    wire, held = tensor.wire, carrier(tensor.wire.dtype, tensor.wire.name)
    if array.shape != wire.shape or name_of(array.dtype) not in (wire.dtype, held.name):
        raise ProtocolError(
            f"{wire.name} is {array.dtype.name} of shape {list(array.shape)}, the manifest says {wire.dtype} of shape"
            f" {list(wire.shape)}; is the head of the same bundle?"
        )
    # Codecs that compute with values must know that these integers are none.
    return array if name_of(array.dtype) == wire.dtype or codec_name.partition("+")[0] == RAW else tensor_of(array, wire.dtype)


def _check_digests(parameters: dict[str, Any], tail: SpokenTail) -> None:
    for key, known in (("cic_model", tail.spoken_model), ("cic_weights", tail.spoken_weights)):
        given = parameters.get(key, known)
        if given != known:
            raise ProtocolError(
                f"the request has {key} {shown(given)}, here is a tail with {known}; give both sides the same bundle", 409
            )


def _batch(described: Any, tail: SpokenTail) -> int | None:
    """The batch of the first input that has one, for all others to be compared with; the greatest if none has."""
    if tail.greatest_batch is None:
        return None
    known = {tensor.name: tensor.wire for tensor in tail.inputs}
    for entry in described if isinstance(described, list) else ():
        name, shape = (entry.get("name"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and name in known and isinstance(shape, list) and all(type(size) is int for size in shape):
            batch = known[name].batch_of(shape)
            if batch is not None:
                return batch
    return tail.greatest_batch


def _sent(described: Any, tail: SpokenTail) -> tuple[tuple[Sent, ...], int]:
    """The inputs in the tail's order, and how many bytes they have together."""
    known = {tensor.name: tensor for tensor in tail.inputs}
    if not isinstance(described, list) or len(described) != len(known):
        found = f"{len(described)}" if isinstance(described, list) else shown(described)
        raise ProtocolError(f"inputs are {found}, {tail.name} takes {len(known)}: {', '.join(known)}")
    found_by_name: dict[str, Sent] = {}
    end = 0
    for entry in described:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in known or name in found_by_name:
            raise ProtocolError(f"an input is {shown(entry)}, {tail.name} takes each of {', '.join(known)} once")
        sent = _sent_as(entry, known[name], end, tail)
        found_by_name[name], end = sent, sent.end
    return tuple(found_by_name[name] for name in known), end


def _sent_as(entry: dict[str, Any], tensor: SpokenTensor, begin: int, tail: SpokenTail) -> Sent:
    check_described(entry, tensor)
    parameters = _object(entry, "parameters", tensor.name)
    size, name = parameters.get("binary_data_size"), parameters.get("codec", RAW)
    if ("data" in entry) == (size is not None):
        found = "both data and" if "data" in entry else "neither data nor"
        raise ProtocolError(f"{tensor.name} has {found} binary_data_size; give one of them")
    chosen = _codec(name, tensor, tail)
    if "data" in entry:
        if name != RAW:
            raise ProtocolError(f"{tensor.name} has data as numbers, which have no codec; it names {shown(name)}")
        return Sent(chosen, begin, begin, array_of_json(entry["data"], tensor.wire, tensor.name))
    largest = chosen.largest_bytes(tensor.wire.shape, tensor.wire.dtype)
    least = largest if chosen.name == RAW else 1
    if type(size) is not int or not least <= size <= largest:
        raise ProtocolError(
            f"{tensor.name} has the binary_data_size {shown(size)}, under {chosen.name} it has {least} to {largest} bytes"
        )
    return Sent(chosen, begin, begin + size)


def _codec(name: Any, tensor: SpokenTensor, tail: SpokenTail) -> Codec:
    try:
        chosen = codec(full_name(name, tail.stored) if isinstance(name, str) else name, tail.stored)
    except CodecError as error:
        raise ProtocolError(f"{tensor.name}: {error}", 415) from None
    if not chosen.accepts(tensor.wire.dtype):
        raise ProtocolError(f"{tensor.name} is of type {tensor.wire.dtype}, which {chosen.name} does not take", 415)
    return chosen


def check_described(entry: dict[str, Any], tensor: SpokenTensor, status: int = 400, *, announced: bool = False) -> None:
    """Raise ProtocolError with this status unless a tensor is described as the manifest has it.

    announced: as any that there may be, in place of one that was sent.
    """
    shape, datatype = entry.get("shape"), entry.get("datatype")
    sizes = tuple(shape) if isinstance(shape, list) and all(type(size) is int for size in shape) else None
    allowed = (tensor.announced_shape if announced else tensor.shape, tensor.wire.shape)
    fits = sizes in allowed or (not announced and sizes is not None and tensor.wire.fits(sizes))
    if not fits or datatype != tensor.datatype:
        raise ProtocolError(
            f"{tensor.name} is {shown(datatype)} of shape {shown(shape)}, the manifest says {tensor.datatype} of shape"
            f" {list(tensor.announced_shape)}",
            status,
        )


def _wanted(described: Any, binary: bool, tail: SpokenTail) -> tuple[Wanted, ...]:
    """The outputs to send: all of them, if a request does not say which."""
    places = {tensor.name: place for place, tensor in enumerate(tail.outputs)}
    if described is None:
        wanted = [Wanted(place, binary) for place in places.values()]
    elif not isinstance(described, list) or not 0 < len(described) <= len(places):
        raise ProtocolError(f"outputs are {shown(described)}, {tail.name} has {', '.join(places)}")
    else:
        wanted = []
        for entry in described:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or name not in places:
                raise ProtocolError(f"an output is {shown(entry)}, {tail.name} has each of {', '.join(places)} once")
            parameters = _object(entry, "parameters", name)
            if "classification" in parameters:
                raise ProtocolError(f"{name}: classification is not done here; ask for the values")
            wanted.append(Wanted(places.pop(name), _truth(parameters, "binary_data", name, default=binary)))
    for each in wanted:
        if not each.binary:
            check_writable(tail.outputs[each.place].wire, tail.outputs[each.place].name)
    return tuple(wanted)


def _object(holder: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = holder.get(key, {})
    if not isinstance(value, dict):
        raise ProtocolError(f"{key} of {where} are {shown(value)}, expected is an object")
    return value


def _truth(parameters: dict[str, Any], key: str, where: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise ProtocolError(f"{key} of {where} is {shown(value)}, expected is true or false")
    return value
