"""Where in an ONNX file the bytes of its weights are, read off the protobuf wire format without parsing what else is there.

A message is a sequence of fields, each a varint of number and kind, then its value; of the kinds only "so many bytes" matter
here (https://protobuf.dev/programming-guides/encoding). Standard library only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codegen.errors import CodegenError

# ModelProto.graph, GraphProto.initializer, TensorProto.raw_data in onnx.proto, which never changes a number.
GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LARGEST_TAG = 2**32 - 1

Span = tuple[int, int]
Content = mmap.mmap | bytes


@dataclass(frozen=True)
class Field:
    """One field of a message: its number, where it begins, and offset and size of its value (0 if that is no span)."""

    number: int
    begin: int
    value: Span

    @property
    def end(self) -> int:
        return sum(self.value)


def raw_data_spans(path: Path) -> list[Span]:
    """Return offset and size of the bytes of each initializer of an ONNX file's graph, in the order of the file.

    Raises CodegenError if the file is not in the wire format of protobuf.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return [
                data
                for graph in values(content, (0, len(content)), GRAPH)
                for tensor in values(content, graph, INITIALIZER)
                for data in values(content, tensor, RAW_DATA)
            ]
        except (IndexError, ValueError) as error:
            raise CodegenError(f"{path} is no ONNX file: {error}") from error


def fields(content: Content, message: Span) -> Iterator[Field]:
    """Yield the fields of a message; IndexError or ValueError if it is none."""
    position, end = message[0], sum(message)
    while position < end:
        begin = position
        tag, position = _varint(content, position)
        if tag > _LARGEST_TAG:  # of which other parsers drop the upper bits, so that they see another field
            raise ValueError(f"byte {begin} begins a field with the number {tag >> 3}")
        number, kind = tag >> 3, tag & 7
        size = 0
        if kind == _LENGTH:
            size, position = _varint(content, position)
        elif kind == _VARINT:
            _, position = _varint(content, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"byte {position} begins a field of the kind {kind}")
        yield Field(number, begin, (position, size))
        position += size
    if position != end:
        raise ValueError(f"a message that ends at byte {end} goes on to byte {position}")


def values(content: Content, message: Span, number: int) -> Iterator[Span]:
    """Yield offset and size of the values of one field of a message."""
    return (field.value for field in fields(content, message) if field.number == number)


def message_field(number: int, value: bytes) -> bytes:
    """Return a field whose value is bytes, text or a message."""
    return field_head(number, len(value)) + value


def field_head(number: int, size: int) -> bytes:
    """Return what stands before the bytes of such a field."""
    return _as_varint(number << 3 | _LENGTH) + _as_varint(size)


def number_field(number: int, value: int) -> bytes:
    """Return a field whose value is a whole number that is not negative."""
    return _as_varint(number << 3 | _VARINT) + _as_varint(value)


def _as_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _varint(content: Content, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
