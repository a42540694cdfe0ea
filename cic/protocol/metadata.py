"""What a server says of a tail that it serves: names, shapes and types of its tensors, and which bundle it is of.

A device compares this with its own manifest, and learns the names under which this server, or a Triton, takes the tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cic.errors import ProtocolError
from cic.protocol.checked_json import read_object, shown
from cic.protocol.request import check_described
from cic.protocol.spoken_tail import SpokenTail, SpokenTensor

EXTENSIONS = ("binary_tensor_data",)
_BAD_ANSWER, _CONFLICT = 502, 409
_LARGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class ServedTail:
    """A tail as one server has it. codecs: whether that server decodes payloads; others take values as they are only."""

    tail: SpokenTail
    codecs: bool


def metadata_of(tail: SpokenTail, platform: str) -> dict[str, Any]:
    """What `GET /v2/models/<name>` answers. platform: of the engine, such as "cic_onnxruntime"."""
    inputs, outputs = (
        [{"name": each.name, "datatype": each.datatype, "shape": list(each.announced_shape)} for each in tensors]
        for tensors in (tail.inputs, tail.outputs)
    )
    parameters = {
        "cic_cut": tail.cut_id,
        "cic_model": tail.spoken_model,
        "cic_weights": tail.spoken_weights,
        "cic_codecs": True,
    }
    return {
        "name": tail.name,
        "versions": ["1"],
        "platform": platform,
        "inputs": inputs,
        "outputs": outputs,
        "parameters": parameters,
    }


def read_metadata(content: bytes, tail: SpokenTail) -> ServedTail:
    """The tail under the names that the server gives its tensors, in the order in which it lists them.

    content: what `GET /v2/models/<name>` answered. tail: of this side's own manifest.
    Raises ProtocolError with the status 409 if the server has another bundle: other tensors or other digests.
    """
    if len(content) > _LARGEST_BYTES:
        raise ProtocolError(f"the server describes {tail.name} in {len(content)} bytes, over {_LARGEST_BYTES}", _BAD_ANSWER)
    try:
        described = read_object(content, f"what the server says of {tail.name}")
    except ProtocolError as error:
        raise ProtocolError(str(error), _BAD_ANSWER) from None
    parameters = described.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    _check_digests(parameters.get("cic_model"), parameters.get("cic_weights"), tail)
    inputs = _named(described.get("inputs"), tail.inputs, f"inputs of {tail.name}")
    outputs = _named(described.get("outputs"), tail.outputs, f"outputs of {tail.name}")
    return ServedTail(replace(tail, inputs=inputs, outputs=outputs), parameters.get("cic_codecs") is True)


def check_configuration(content: bytes, tail: SpokenTail) -> None:
    """Compare digests with what a Triton answers to `GET /v2/models/<name>/config`; it keeps them in parameters.

    Raises ProtocolError with the status 409 if they are of another bundle, 502 if there are none.
    """
    try:
        parameters = read_object(content[:_LARGEST_BYTES], f"the configuration of {tail.name}").get("parameters")
        given = [parameters[key]["string_value"] for key in ("cic_model_digest", "cic_weights_digest")]  # type: ignore[index]
    except ProtocolError as error:
        raise ProtocolError(str(error), _BAD_ANSWER) from None
    except (KeyError, TypeError):
        raise ProtocolError(f"the configuration of {tail.name} has no digests; export it again", _BAD_ANSWER) from None
    if given != [tail.model_digest, tail.weights_digest]:
        raise ProtocolError(f"the server has {tail.name} of another bundle; give both sides the same", _CONFLICT)


def _check_digests(model: Any, weights: Any, tail: SpokenTail) -> None:
    for what, given, known in (("graph", model, tail.spoken_model), ("weights", weights, tail.spoken_weights)):
        if given is not None and given != known:
            raise ProtocolError(
                f"the server has {tail.name} with the digest {shown(given)} of its {what}, here it is {known}; give both sides"
                " the same bundle",
                _CONFLICT,
            )


def _named(described: Any, tensors: tuple[SpokenTensor, ...], what: str) -> tuple[SpokenTensor, ...]:
    if not isinstance(described, list) or len(described) != len(tensors):
        raise ProtocolError(f"the server has the {what} {shown(described)}, the manifest {len(tensors)}", _CONFLICT)
    named = []
    for entry, tensor in zip(described, tensors, strict=True):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or len(name) > 1000:
            raise ProtocolError(f"the server has among the {what} {shown(entry)}, expected is a tensor with a name", _CONFLICT)
        check_described(entry, replace(tensor, name=name), _CONFLICT, announced=True)
        named.append(replace(tensor, name=name))
    if len({tensor.name for tensor in named}) < len(named):
        raise ProtocolError(f"the server has two {what} of one name", _CONFLICT)
    return tuple(named)
