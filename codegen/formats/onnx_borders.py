"""Names of the inputs and outputs of an ONNX file: how they are chosen when it is emitted, and how they are read from it.

They are read off the wire format: a device needs no package `onnx` to know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codegen.errors import CodegenError
from codegen.weights.protobuf_spans import GRAPH, Content, Span, values

# GraphProto.input, GraphProto.output and ValueInfoProto.name in onnx.proto, which never changes a number.
_INPUT, _OUTPUT, _NAME = 11, 12, 1


def distinct_names(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """Return a name for each border: a value of ONNX has one name, so an input passed on gets another as an output."""
    used, given = set(taken), []
    for name in names:
        free = name
        while free in used:
            free += "_passed"
        used.add(free)
        given.append(free)
    return given


def border_names(content: Content, what: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the inputs and of the outputs of a model, in its order; CodegenError naming `what` if it is none."""
    try:
        graph = next(values(content, (0, len(content)), GRAPH))
        return _names(content, graph, _INPUT), _names(content, graph, _OUTPUT)
    except (IndexError, ValueError, StopIteration) as error:
        raise CodegenError(f"{what} is no ONNX file: {error or 'it has no graph'}") from error


def _names(content: Content, graph: Span, number: int) -> tuple[str, ...]:
    spans = (next(values(content, border, _NAME), (0, 0)) for border in values(content, graph, number))
    return tuple(bytes(content[offset : offset + size]).decode() for offset, size in spans)
