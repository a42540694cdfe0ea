"""Where in an ONNX file the bytes of its weights are, read off the protobuf wire format without parsing what else is there.

A message is a sequence of fields, each a varint of number and kind, then its value; of the kinds only "so many bytes" matter
here (https://protobuf.dev/programming-guides/encoding). Standard library only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from codegen.errors import CodegenError

# ModelProto.graph, GraphProto.initializer, TensorProto.raw_data in onnx.proto, which never changes a number.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5

Span = tuple[int, int]


def raw_data_spans(path: Path) -> list[Span]:
    """Return offset and size of the bytes of each initializer of an ONNX file's graph, in the order of the file.

    Raises CodegenError if the file is not in the wire format of protobuf.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return [
                data
                for graph in _fields(content, (0, len(content)), _GRAPH)
                for tensor in _fields(content, graph, _INITIALIZER)
                for data in _fields(content, tensor, _RAW_DATA)
            ]
        except (IndexError, ValueError) as error:
            raise CodegenError(f"{path} is no ONNX file: {error}") from error


def _fields(content: mmap.mmap, message: Span, wanted: int) -> Iterator[Span]:
    """Yield offset and size of the values of one field of a message."""
    position, end = message[0], sum(message)
    while position < end:
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        size = 0
        if kind == _LENGTH:
            size, position = _varint(content, position)
            if number == wanted:
                yield position, size
        elif kind == _VARINT:
            _, position = _varint(content, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"byte {position} begins a field of the kind {kind}")
        position += size
    if position != end:
        raise ValueError(f"a message that ends at byte {end} goes on to byte {position}")


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
