"""Messages between the two halves, as bytes: a JSON header, then the tensors' payloads, one after another.

What tensors a message carries is known on both sides from the manifest; the header repeats types and shapes so that a
peer with other files is found out. It names the codec of each tensor and the size of its payload, unless all are sent as
they are. Nothing is ever unpickled, and no size is believed before it was compared: a codec's payload is decoded to the
shape and type of the manifest or not at all. How long a message can be at most follows from the manifest, too
(`largest_message_bytes`), so a receiver refuses a longer one before it takes memory for it. Codecs that are made from stored
content are made from that of this side's own files.
"""

from __future__ import annotations

import json
import math
import reprlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

import torch

from cic.codec.codec import Payload
from cic.codec.registry import LONGEST_NAME, codec, largest_payload_bytes
from cic.codec.tensors import tensor_of
from cic.codec.transform.transform_codec import full_name, short_name
from cic.errors import CodecError, LinkError
from codegen.dtypes import type_name
from codegen.manifest import Manifest
from codegen.split import WireTensor, common_batch

Kind = Literal["greet", "run", "rehearse", "answer", "failure"]

_LENGTH = struct.Struct("<I")
# Texts are cut off there, which leaves room for what is escaped in JSON.
_LONGEST_TEXT = 1000
# Room for the longest header that is made; and what is read at most, which takes some 30 times as much memory.
_HEADER_BYTES, _HEADER_BYTES_A_TENSOR, _HEADER_BYTES_A_DIMENSION = 16 << 10, 256 + LONGEST_NAME, 24
_LARGEST_HEADER_BYTES = 1 << 20
_LARGEST_NUMBER = 2**63
_LONGEST_NUMERAL = 40


@dataclass(frozen=True)
class Message:
    """One message.

    kind: "greet" says in its text what half its sender has (`identity`), both ways. "run" asks for the tail's answer,
    "rehearse" too, but is not part of a measurement and answered at full speed; "answer" and "failure" are the replies.
    number: of the request, repeated in the reply. tensors: see the manifest.
    codecs: the name of each tensor's codec; none if all are sent as they are. names: what to call the tensors in errors.
    seconds: how long the server worked on it. text: what went wrong.
    """

    kind: Kind
    number: int
    tensors: tuple[torch.Tensor, ...] = ()
    seconds: float = 0.0
    text: str = ""
    codecs: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def identity(manifest: Manifest, cut_id: str) -> str:
    """What head and tail must have in common, for else they may fit together and be wrong."""
    return f"cut {cut_id} of model {manifest.model_digest} with weights {manifest.weights_digest}"


def largest_message_bytes(expected: Sequence[WireTensor]) -> int:
    """No message that carries these tensors is longer, whatever codecs it uses."""
    header = _HEADER_BYTES + sum(_HEADER_BYTES_A_TENSOR + _HEADER_BYTES_A_DIMENSION * len(wire.shape) for wire in expected)
    return header + sum(largest_payload_bytes(wire.shape, wire.dtype) for wire in expected)


def encode(message: Message, stored: Mapping[str, bytes] | None = None) -> list[Payload]:
    """A message as buffers to be sent one after another; memory of tensors that are sent as they are is not copied.

    stored: contents that codecs are made from, see `cic.codec.registry.codec`.
    Raises CodecError naming the tensor if its codec does not take it, or there is no such codec.
    """
    codecs = message.codecs or ("raw",) * len(message.tensors)
    names = message.names or tuple(f"tensor {index}" for index in range(len(message.tensors)))
    sent = zip(codecs, message.tensors, names, strict=True)
    payloads = [codec(each, stored).encode(tensor, name) for each, tensor, name in sent]
    header = {
        "kind": message.kind,
        "number": message.number,
        "seconds": message.seconds,
        "text": message.text[:_LONGEST_TEXT],
        "tensors": [[type_name(tensor.dtype), list(tensor.shape)] for tensor in message.tensors],
        "codecs": [[short_name(each, stored or {}), len(payload)] for each, payload in zip(codecs, payloads, strict=True)]
        if message.codecs
        else [],
    }
    # Defaults are left out: on a slow link every byte counts.
    kept = {key: value for key, value in header.items() if value or key == "number"}
    text = json.dumps(kept, separators=(",", ":")).encode()
    return [_LENGTH.pack(len(text)) + text, *payloads]


def decode(payload: bytearray, expected: Sequence[WireTensor], stored: Mapping[str, bytes] | None = None) -> Message:
    """The message in `payload`; `expected` are the tensors that it must carry, unless it greets or is a failure.

    stored: contents that codecs are made from; a message that names a codec made from another one is refused.
    Raises LinkError saying what is wrong with it.
    """
    header, rest = _header_of(payload)
    kind, number = header.get("kind"), header.get("number")
    worked_s, text = header.get("seconds", 0.0), header.get("text", "")
    known: tuple[Kind, ...] = get_args(Kind)
    if kind not in known or type(number) is not int or not 0 <= number < _LARGEST_NUMBER:
        raise LinkError(f"a message has kind {_shown(kind)} and number {_shown(number)}; the other side speaks something else")
    if type(worked_s) not in (int, float) or not 0 <= worked_s < _LARGEST_NUMBER or not isinstance(text, str):
        raise LinkError(f"a message has seconds {_shown(worked_s)} and text {_shown(text)}; a number and a text are expected")
    text = _printable(text)
    if kind in ("greet", "failure"):
        return Message(kind, number, text=text)
    expected = _described(header.get("tensors", []), expected)
    coded = _coded(header.get("codecs", [["raw", wire.bytes] for wire in expected]), expected)
    coded = [(full_name(name, stored or {}), size) for name, size in coded]
    total = sum(size for _, size in coded)
    if len(rest) != total:
        raise LinkError(f"a message carries {len(rest)} bytes of tensors, the {_authority(header)} says {total}")
    tensors = []
    for wire, (name, size) in zip(expected, coded, strict=True):
        tensors.append(_tensor_of(rest[:size], wire, name, stored))
        rest = rest[size:]
    return Message(kind, number, tuple(tensors), float(worked_s), text, tuple(name for name, _ in coded))


def _authority(header: dict[str, Any]) -> str:
    return "header" if "codecs" in header else "manifest"


def _coded(described: Any, expected: Sequence[WireTensor]) -> list[tuple[str, int]]:
    """The codec and the payload's size of each tensor."""
    if not isinstance(described, list) or len(described) != len(expected):
        raise LinkError(f"a message names the codecs {_shown(described)}, it has {len(expected)} tensors")
    for wire, entry in zip(expected, described, strict=True):
        match entry:
            case [str(), int() as size] if type(size) is int and size >= 0:
                pass
            case _:
                raise LinkError(
                    f"{wire.name}: a message has the codec {_shown(entry)}; a name and a number of bytes are expected"
                )
    return [(name, size) for name, size in described]


def _header_of(payload: bytearray) -> tuple[dict[str, Any], memoryview]:
    if len(payload) < _LENGTH.size:
        raise LinkError(f"a message has {len(payload)} bytes, its header alone has more")
    (length,) = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + length
    if length > _LARGEST_HEADER_BYTES or end > len(payload):
        raise LinkError(f"a message of {len(payload)} bytes says that its header has {length}")
    try:
        text = payload[_LENGTH.size : end].decode("utf-8")
        header = json.loads(text, parse_constant=_refuse, parse_float=_real, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise LinkError(f"the header of a message is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise LinkError(f"the header of a message is a {type(header).__name__}, not an object")
    return header, memoryview(payload)[end:]


def _refuse(numeral: str) -> NoReturn:
    raise LinkError(f"the header of a message holds the number {numeral[:_LONGEST_NUMERAL]}, which nothing there can be")


def _real(numeral: str) -> float:
    """A number of a header; JSON has no infinite ones, but 1e400 is read as one."""
    number = float(numeral)
    return number if math.isfinite(number) else _refuse(numeral)


def _whole(numeral: str) -> int:
    return int(numeral) if len(numeral) <= _LONGEST_NUMERAL else _refuse(numeral)


def _shown(value: object) -> str:
    """What a peer sent, in an error: short however long or deep it is."""
    return reprlib.repr(value)


def _printable(text: str) -> str:
    """A peer's text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_TEXT])


def _described(described: Any, expected: Sequence[WireTensor]) -> Sequence[WireTensor]:
    """Return the tensors that a message says it carries, each as one that the manifest has there."""
    wanted = [[wire.dtype, list(wire.shape)] for wire in expected]
    if described == wanted:
        return [wire.of_shape(wire.shape) for wire in expected]
    if not isinstance(described, list) or len(described) != len(wanted):
        raise LinkError(f"a message carries the tensors {_shown(described)}, the manifest has {len(wanted)} here")
    for wire, found, known in zip(expected, described, wanted, strict=True):
        if found != known and not _is_one_of(found, wire):
            raise LinkError(
                f"{wire.name}: the other side sent {_shown(found)}, the manifest says {known!r}; are its files the same?"
            )
    shapes = [shape for _, shape in described]
    if any(wire.batch is not None for wire in expected) and common_batch(expected, shapes) is None:
        raise LinkError(f"the other side sent tensors of several batches: {_shown(shapes)}; a message has one")
    return [wire.of_shape(shape) for wire, shape in zip(expected, shapes, strict=True)]


def _is_one_of(found: Any, wire: WireTensor) -> bool:
    if not isinstance(found, list) or len(found) != 2 or found[0] != wire.dtype or not isinstance(found[1], list):
        return False
    return all(type(size) is int for size in found[1]) and wire.fits(found[1])


def _tensor_of(payload: memoryview, wire: WireTensor, name: str, stored: Mapping[str, bytes] | None) -> torch.Tensor:
    try:
        return tensor_of(codec(name, stored).decode(payload, wire.shape, wire.dtype, wire.name), wire.dtype)
    except CodecError as error:
        raise LinkError(f"{wire.name} cannot be decoded: {error}") from None
    except MemoryError:
        raise LinkError(f"{wire.name} cannot be decoded: there is no memory for its {wire.bytes} bytes") from None
