"""Messages between the two halves, as bytes: a JSON header, then the tensors' own bytes, little-endian, one after another.

What tensors a message carries is known on both sides from the manifest; the header repeats types and shapes so that a
peer with other files is found out. Nothing is ever unpickled, and no size is believed before it was compared.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from cic.errors import LinkError
from codegen.split import WireTensor

Kind = Literal["run", "rehearse", "answer", "failure"]

_LENGTH = struct.Struct("<I")
_LARGEST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class Message:
    """One message.

    kind: "run" asks for the tail's answer, "rehearse" too, but is not part of a measurement and answered at full speed;
    "answer" and "failure" are the replies. number: of the request, repeated in the reply. tensors: see the manifest.
    seconds: how long the server worked on it. text: what went wrong.
    """

    kind: Kind
    number: int
    tensors: tuple[torch.Tensor, ...] = ()
    seconds: float = 0.0
    text: str = ""


def encode(message: Message) -> list[bytes | memoryview]:
    """A message as buffers to be sent one after another; the tensors' memory is not copied if they are contiguous."""
    header = {
        "kind": message.kind,
        "number": message.number,
        "seconds": message.seconds,
        "text": message.text,
        "tensors": [[_dtype_name(tensor), list(tensor.shape)] for tensor in message.tensors],
    }
    # Defaults are left out: on a slow link every byte counts.
    kept = {key: value for key, value in header.items() if value or key == "number"}
    text = json.dumps(kept, separators=(",", ":")).encode()
    return [_LENGTH.pack(len(text)) + text, *(_bytes_of(tensor) for tensor in message.tensors)]


def decode(payload: bytearray, expected: Sequence[WireTensor]) -> Message:
    """The message in `payload`; `expected` are the tensors that a message other than "failure" must carry.

    Raises LinkError saying what is wrong with it.
    """
    header, rest = _header_of(payload)
    kind, number = header.get("kind"), header.get("number")
    worked_s, text = header.get("seconds", 0.0), header.get("text", "")
    known: tuple[Kind, ...] = get_args(Kind)
    if kind not in known or type(number) is not int:
        raise LinkError(f"a message has kind {kind!r} and number {number!r}; the other side speaks something else")
    if type(worked_s) not in (int, float) or not isinstance(text, str):
        raise LinkError(f"a message has seconds {worked_s!r} and text {text!r}; a number and a text are expected")
    if kind == "failure":
        return Message(kind, number, text=text)
    _check_tensors(header.get("tensors", []), expected)
    total = sum(wire.bytes for wire in expected)
    if len(rest) != total:
        raise LinkError(f"a message carries {len(rest)} bytes of tensors, the manifest says {total}")
    tensors = []
    for wire in expected:
        tensors.append(_tensor_of(rest[: wire.bytes], wire))
        rest = rest[wire.bytes :]
    return Message(kind, number, tuple(tensors), float(worked_s), text)


def _header_of(payload: bytearray) -> tuple[dict[str, Any], memoryview]:
    if len(payload) < _LENGTH.size:
        raise LinkError(f"a message has {len(payload)} bytes, its header alone has more")
    (length,) = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + length
    if length > _LARGEST_HEADER_BYTES or end > len(payload):
        raise LinkError(f"a message of {len(payload)} bytes says that its header has {length}")
    try:
        header = json.loads(payload[_LENGTH.size : end])
    except (ValueError, RecursionError) as error:
        raise LinkError(f"the header of a message is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise LinkError(f"the header of a message is a {type(header).__name__}, not an object")
    return header, memoryview(payload)[end:]


def _check_tensors(described: Any, expected: Sequence[WireTensor]) -> None:
    wanted = [[wire.dtype, list(wire.shape)] for wire in expected]
    if described == wanted:
        return
    if not isinstance(described, list) or len(described) != len(wanted):
        raise LinkError(f"a message carries the tensors {described!r}, the manifest has {len(wanted)} here")
    for wire, found, known in zip(expected, described, wanted, strict=True):
        if found != known:
            raise LinkError(f"{wire.name}: the other side sent {found!r}, the manifest says {known!r}; are its files the same?")


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _bytes_of(tensor: torch.Tensor) -> bytes | memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if not flat.numel():
        return b""
    view: memoryview = _little_endian(flat.resolve_conj().resolve_neg().view(torch.uint8), flat.dtype).numpy().data
    return view


def _tensor_of(buffer: memoryview, wire: WireTensor) -> torch.Tensor:
    dtype = getattr(torch, wire.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise LinkError(f"{wire.name} has the type {wire.dtype!r}, which torch {torch.__version__} does not know")
    if not wire.bytes:
        return torch.empty(wire.shape, dtype=dtype)
    # The copy is aligned as torch wants it; a place within the message need not be.
    raw = torch.frombuffer(buffer, dtype=torch.uint8).clone()
    return _little_endian(raw, dtype).view(dtype).reshape(wire.shape)


def _little_endian(raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Bytes in the order of the wire from those in the order of this machine, or back."""
    if sys.byteorder == "little":
        return raw
    width = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    return raw.reshape(-1, width).flip(1).reshape(-1).contiguous()
