"""ONNX graphs apart from their weights: each weight named by the SHA-256 of its bytes, which lie in a pool of the process.

Only the wire format is rewritten (`codegen.weights.protobuf_spans`), so a device needs no more than numpy and onnxruntime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codegen.files.atomic import replacing
from codegen.weights.protobuf_spans import (
    GRAPH,
    INITIALIZER,
    RAW_DATA,
    Content,
    Field,
    Span,
    fields,
    message_field,
    number_field,
    values,
)
from codegen.weights.shared_weights import SharedHalf
from codegen.weights.weight_pool import POOL

# TensorProto.external_data, TensorProto.data_location and its value EXTERNAL; GraphProto.node and NodeProto.op_type.
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_NODE, _OP_TYPE = 1, 4

# As the specification of ONNX advises, for files that are mapped into memory.
_ALIGNMENT = 4096

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """Where the bytes of a weight are."""

    file: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class BareGraph:
    """A model whose large weights are elsewhere: `files` has their bytes by the names that `content` gives them."""

    content: bytes
    files: dict[str, Bytes] = field(default_factory=dict)

    def op_types(self) -> set[str]:
        """Return the names of the ops of the graph, those inside of others left out."""
        whole = (0, len(self.content))
        return {
            self.content[offset : offset + size].decode()
            for graph in values(self.content, whole, GRAPH)
            for node in values(self.content, graph, _NODE)
            for offset, size in values(self.content, node, _OP_TYPE)
        }


def graph_of(half: SharedHalf) -> BareGraph:
    """Return a half with its shared weights in the pool."""
    files = {
        place.sha256: POOL.get(("onnx", place.sha256), lambda: np.frombuffer(half.weight(place.sha256), np.uint8))  # noqa: B023
        for place in half.places
    }
    where = {place.offset: Place(place.sha256, 0, files[place.sha256].nbytes) for place in half.places}
    return BareGraph(_graph_with_places(half, where), files)


def write_beside(half: SharedHalf, path: Path) -> None:
    """Write a half of any size as a graph and, beside it, `<name>.data` with its weights, as ONNX Runtime reads them.

    Raises CodegenError if a weight is not as recorded; then nothing is left behind, and what was there stays.
    """
    weights, where, end = path.with_name(f"{path.name}.data"), {}, 0
    found: dict[str, Place] = {}
    with replacing(path) as graph, replacing(weights) as beside:
        with beside.open("wb") as file:
            for place, size in zip(half.places, half.sizes, strict=True):
                if place.sha256 not in found:
                    end += -end % _ALIGNMENT
                    file.seek(end)
                    file.write(half.weight(place.sha256))
                    found[place.sha256] = Place(weights.name, end, size)
                    end += size
                where[place.offset] = found[place.sha256]
        graph.write_bytes(_graph_with_places(half, where))


def _graph_with_places(half: SharedHalf, where: Mapping[int, Place]) -> bytes:
    """Return the graph of a half whose weights, known by their offsets in its plain file, are elsewhere."""

    def place_of(tensor: list[Field]) -> Place | None:
        return next((where.get(part.value[0]) for part in tensor if part.number == RAW_DATA), None)

    with half.image() as image:
        return _placed(image, place_of)


def graph_beside(model: Path, weights: Path) -> BareGraph | None:
    """Return a model that ONNX Runtime has written, its weights in a file beside it, with those weights in the pool.

    None if weights of graphs inside of ops are in that file, too: there ONNX Runtime takes none from memory.
    """
    content = model.read_bytes()
    beside = np.memmap(weights, np.uint8, mode="r") if weights.exists() and weights.stat().st_size else np.empty(0, np.uint8)
    files: dict[str, Bytes] = {}

    def place_of(tensor: list[Field]) -> Place | None:
        entries = dict(_entry(content, part.value) for part in tensor if part.number == _EXTERNAL_DATA)
        if entries.get("location") != weights.name:
            return None
        offset, size = int(entries.get("offset", 0)), int(entries["length"])
        part = beside[offset : offset + size]
        sha256 = hashlib.sha256(part.data).hexdigest()
        files[sha256] = POOL.get(("onnx", sha256), lambda: np.array(part, copy=True, subok=False))
        return Place(sha256, 0, size)

    placed = _placed(content, place_of)
    return None if weights.name.encode() in placed else BareGraph(placed, files)


def _placed(content: Content, place_of: Callable[[list[Field]], Place | None]) -> bytes:
    """Return a model with those weights of its graph for which there is a place said to be there."""

    def tensor(part: Field) -> bytes:
        inner = list(fields(content, part.value))
        place = place_of(inner)
        if place is None:
            return bytes(content[part.begin : part.end])
        kept = [one for one in inner if one.number not in (RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION)]
        where = {"location": place.file, "offset": str(place.offset), "length": str(place.bytes)}
        pieces = [bytes(content[one.begin : one.end]) for one in kept]
        pieces += [message_field(_EXTERNAL_DATA, _as_entry(key, value)) for key, value in where.items()]
        return message_field(INITIALIZER, b"".join([*pieces, number_field(_DATA_LOCATION, _EXTERNAL)]))

    def graph(part: Field) -> bytes:
        return message_field(GRAPH, b"".join(_mapped(content, part.value, INITIALIZER, tensor)))

    return b"".join(_mapped(content, (0, len(content)), GRAPH, graph))


def _mapped(content: Content, message: Span, number: int, change: Callable[[Field], bytes]) -> Iterator[bytes]:
    """Yield the fields of a message, those of one number changed."""
    for part in fields(content, message):
        yield change(part) if part.number == number else bytes(content[part.begin : part.end])


def _entry(content: Content, span: Span) -> tuple[str, str]:
    """Read a StringStringEntryProto."""
    key, value = (next(values(content, span, number), (0, 0)) for number in (1, 2))
    return bytes(content[key[0] : sum(key)]).decode(), bytes(content[value[0] : sum(value)]).decode()


def _as_entry(key: str, value: str) -> bytes:
    return message_field(1, key.encode()) + message_field(2, value.encode())
