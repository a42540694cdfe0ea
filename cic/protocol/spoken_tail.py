"""A tail as both sides speak of it: a model's name, names of its inputs and outputs, digests; and how much can be said.

What tensors cross is known on both sides from the manifest. Names on the wire are those that the same tail has in a model
repository of Triton (`codegen.serving.triton_repository`), so that a client says the same to either server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

from cic.codec.registry import LONGEST_NAME, largest_payload_bytes
from cic.errors import ProtocolError
from cic.protocol.datatypes import datatype_of
from cic.protocol.json_values import LONGEST_VALUE_BYTES, MOST_VALUES
from codegen.formats.onnx_borders import distinct_names
from codegen.manifest import CutRecord, Manifest
from codegen.split import WireTensor

DIGEST_DIGITS = 16
"""Of the digests of graph and weights, so many are sent: two trainings that agree in 64 bits are not met by chance."""

LONGEST_ID = 256
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,249}")
_HEADER_BYTES, _HEADER_BYTES_A_TENSOR, _HEADER_BYTES_A_DIMENSION = 8 << 10, 512 + LONGEST_NAME, 24


@dataclass(frozen=True, slots=True)
class SpokenTensor:
    """A tensor that is sent: its name on the wire, and what it is by the manifest."""

    name: str
    wire: WireTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """As it is sent: a 0-d tensor has one dimension there, since servers such as Triton know no tensor without."""
        return self.wire.shape or (1,)

    @property
    def announced_shape(self) -> tuple[int, ...]:
        """As servers describe it before there is one: -1 along an open axis."""
        return tuple(-1 if axis in self.wire.open_axes else size for axis, size in enumerate(self.shape))

    @property
    def datatype(self) -> str:
        return datatype_of(self.wire.dtype)

    def at_batch(self, batch: int) -> SpokenTensor:
        """The tensor that it is at this batch."""
        return SpokenTensor(self.name, self.wire.at_batch(batch))


@dataclass(frozen=True)
class SpokenTail:
    """The tail of one cut of one bundle.

    name: of the model on the wire. inputs: its crossing tensors in the manifest's order, outputs: its returned ones.
    stored: contents that codecs of its inputs are made from, by SHA-256 (`codegen.bundle.codecs`).
    """

    name: str
    cut_id: str
    inputs: tuple[SpokenTensor, ...]
    outputs: tuple[SpokenTensor, ...]
    model_digest: str
    weights_digest: str
    stored: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def at_batch(self, batch: int | None) -> SpokenTail:
        """The tail as it is at a batch, with tensors of fixed shapes; itself if there is none."""
        if batch is None:
            return self
        inputs, outputs = (tuple(tensor.at_batch(batch) for tensor in tensors) for tensors in (self.inputs, self.outputs))
        return replace(self, inputs=inputs, outputs=outputs)

    @property
    def greatest_batch(self) -> int | None:
        """No request has a greater one; None if shapes are fixed."""
        return next((tensor.wire.batch for tensor in self.inputs if tensor.wire.batch is not None), None)

    @property
    def spoken_model(self) -> str:
        """The digits of the graph's digest that are sent."""
        return self.model_digest[:DIGEST_DIGITS]

    @property
    def spoken_weights(self) -> str:
        """The digits of the weights' digest that are sent."""
        return self.weights_digest[:DIGEST_DIGITS]


def spoken_tail(
    manifest: Manifest, cut_id: str, prefix: str, *, counted: bool, stored: Mapping[str, bytes] | None = None
) -> SpokenTail:
    """The tail of a cut, from what the manifest says.

    prefix: of the model's name; by default `manifest.name`.
    counted: tensors are INPUT__0 … and OUTPUT__0 …, as in a repository of TorchScript tails; else they have their own names, as
        in one of ONNX tails.
    stored: see `codegen.bundle.codecs.read_codecs`.
    Raises CodegenError if there is no such cut, ProtocolError if a tensor is of a type that cannot be sent, or the name
        would not be one.
    """
    record = manifest.cut(cut_id)
    name = f"{prefix}_{cut_id}"
    if not _NAME.fullmatch(name):
        raise ProtocolError(
            f"the model name {name!r} cannot be part of an address; use up to 250 letters, digits, '.', '_' and '-'"
        )
    inputs, outputs = _names(record, counted)
    spoken = [
        tuple(SpokenTensor(given, wire) for given, wire in zip(names, wires, strict=True))
        for names, wires in ((inputs, record.crossing), (outputs, record.returned))
    ]
    for tensor in (*spoken[0], *spoken[1]):
        datatype_of(tensor.wire.dtype)
    return SpokenTail(name, cut_id, spoken[0], spoken[1], manifest.model_digest, manifest.weights_digest, stored or {})


def largest_json_bytes(tail: SpokenTail) -> int:
    """The JSON of no request is longer, whether its values are bytes or, where they are few, numbers."""
    tensors = (*tail.inputs, *tail.outputs)
    described = sum(
        _HEADER_BYTES_A_TENSOR + 6 * len(tensor.name) + _HEADER_BYTES_A_DIMENSION * len(tensor.shape) for tensor in tensors
    )
    # Of an open batch, a smaller one may have so few values as are sent in JSON.
    counted = [tensor for tensor in tail.inputs if tensor.wire.open_axes or prod(tensor.shape) <= MOST_VALUES]
    numbers = sum(min(prod(tensor.shape), MOST_VALUES) for tensor in counted)
    return _HEADER_BYTES + described + LONGEST_VALUE_BYTES * numbers


def largest_request_bytes(tail: SpokenTail) -> int:
    """No request for this tail is longer, whatever codecs it uses."""
    return largest_json_bytes(tail) + sum(largest_payload_bytes(each.wire.shape, each.wire.dtype) for each in tail.inputs)


def largest_answer_bytes(tail: SpokenTail) -> int:
    """No answer of this tail is longer; JSON of other servers says more of themselves than ours."""
    return largest_json_bytes(tail) + sum(each.wire.bytes for each in tail.outputs)


def _names(record: CutRecord, counted: bool) -> tuple[list[str], list[str]]:
    if counted:
        return (
            [f"INPUT__{index}" for index in range(len(record.crossing))],
            [f"OUTPUT__{index}" for index in range(len(record.returned))],
        )
    inputs = distinct_names([wire.name for wire in record.crossing], ())
    return inputs, distinct_names([wire.name for wire in record.returned], inputs)
