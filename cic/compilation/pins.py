"""Which ops are pinned and which tensors private, by name or by pattern; contradictions are found before anything is solved.

A name is an op or tensor of that name. Where there is none, it is a pattern, in which * stands for any text and ? for a letter
(`fnmatch`): of names, or after "kind:" of what ops do, as in "kind:*lstm*". A name counts more than a pattern.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from cic.errors import CompileError
from cic.graph import Graph
from codegen.checked_json import shown

_SIDES = ("device", "server")
_KIND = "kind:"


def checked_pins(graph: Graph, pins: Mapping[str, str] | None, private: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The pins by op and the private tensors, if they name what there is and leave an allowed cut.

    What an op on the device reads must be made there, as results never flow back, and a tensor that stays on the device takes
    its readers along. So the device side is what pins and private model inputs reach by these two steps; a cut is allowed if
    and only if none of it is pinned to the server.

    Raises:
        CompileError: naming the op or tensor that does not exist, the pattern that fits none, or the two pins that contradict.
    """
    if not isinstance(pins, Mapping | None):
        raise CompileError(f"pins is {shown(pins)}; give a dict from the name of an op to 'device' or 'server'")
    if isinstance(private, str) or not isinstance(private, Sequence):
        raise CompileError(f"private is {shown(private)}; give a list of names of tensors")
    by_op = _pins_by_op(graph, dict(pins or {}))
    tensors = [name for each in private for name in _tensors_named(graph, each)]
    _check_contradiction(graph, by_op, frozenset(tensors))
    return by_op, tensors


def tensors_before(graph: Graph, first_layers: Sequence[str]) -> list[str]:
    """The tensors that neither one of these ops makes, nor an op that depends on one: inputs and all that is too near to them.

    Args:
        first_layers: names or patterns of ops.

    Raises:
        CompileError: as `checked_pins`.
    """
    if isinstance(first_layers, str) or not isinstance(first_layers, Sequence):
        raise CompileError(f"private_until is {shown(first_layers)}; give a list of names of ops")
    after = {name for each in first_layers for name in _ops_named(graph, each, "private_until")}
    for op in graph.ops:
        made = (graph.tensor_by_name[tensor].producer for tensor in op.inputs)
        if any(producer in after for producer in made):
            after.add(op.name)
    return [tensor.name for tensor in graph.tensors if tensor.producer not in after] if first_layers else []


def _pins_by_op(graph: Graph, pins: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    by_pattern: dict[str, str] = {}
    for name, side in pins.items():
        if side not in _SIDES:
            raise CompileError(f"pins puts {name} on {shown(side)}; the sides are 'device' and 'server'")
        for op in _ops_named(graph, name, "pins"):
            if op == name:
                continue
            other = by_pattern.setdefault(op, name)
            if pins[other] != side and op not in pins:
                raise CompileError(f"pins puts {op} on the {side} by {name!r} and on the {pins[other]} by {other!r}; drop one")
            found[op] = side
    # A name counts more than a pattern.
    return found | {name: side for name, side in pins.items() if name in graph.op_by_name}


def _ops_named(graph: Graph, name: object, argument: str) -> list[str]:
    if isinstance(name, str) and name in graph.op_by_name:
        return [name]
    fitting = []
    if isinstance(name, str) and name.startswith(_KIND):
        fitting = [op.name for op in graph.ops if any(fnmatchcase(kind, name.removeprefix(_KIND)) for kind in op.kinds)]
        if not fitting:
            kinds = {kind for op in graph.ops for kind in op.kinds}
            raise CompileError(
                f"{argument} names the kind {shown(name)}, which no op of {graph.name} is; "
                f"{_near(name.removeprefix(_KIND), kinds)}"
            )
    elif isinstance(name, str):
        fitting = [op.name for op in graph.ops if fnmatchcase(op.name, name)]
    if not fitting:
        raise CompileError(
            f"{argument} names the op {shown(name)}, which {graph.name} does not have; {_near(name, graph.op_by_name)}"
        )
    return fitting


def _tensors_named(graph: Graph, name: object) -> list[str]:
    if isinstance(name, str) and name in graph.tensor_by_name:
        return [name]
    fitting = [each for each in graph.tensor_by_name if isinstance(name, str) and fnmatchcase(each, name)]
    if not fitting:
        raise CompileError(
            f"private names the tensor {shown(name)}, which {graph.name} does not have; {_near(name, graph.tensor_by_name)}"
        )
    return fitting


def _near(name: object, known: Iterable[str]) -> str:
    """What somebody may have meant."""
    names = list(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.4) or names[:3]
    return f"did you mean {', '.join(near)}?"


def _check_contradiction(graph: Graph, pins: Mapping[str, str], private: frozenset[str]) -> None:
    stays = {tensor.name for tensor in graph.tensors if not tensor.may_cross} | private
    makers = {tensor.name: tensor.producer for tensor in graph.tensors}
    # Each op that must be on the device, and what takes it there: another op, a model input, or None for a pin.
    because: dict[str, str | None] = {name: None for name, side in pins.items() if side == "device"}
    for tensor in graph.tensors:
        if tensor.producer is None and tensor.name in stays:
            for reader in tensor.consumers:
                because.setdefault(reader, tensor.name)
    waiting = deque(because)
    while waiting:
        name = waiting.popleft()
        if pins.get(name) == "server":
            raise CompileError(_explained(graph, because, name, private))
        op = graph.op_by_name[name]
        taken = [makers.get(tensor) for tensor in op.inputs]
        taken += [reader for tensor in op.outputs if tensor in stays for reader in graph.tensor_by_name[tensor].consumers]
        for other in taken:
            if other is not None and other not in because:
                because[other] = name
                waiting.append(other)


def _explained(graph: Graph, because: Mapping[str, str | None], op: str, private: frozenset[str]) -> str:
    way = [op]
    while (cause := because.get(way[-1])) is not None:
        way.append(cause)
    origin = way[-1]
    through = f" (through {', '.join(reversed(way[1:-1]))})" if len(way) > 2 else ""
    if origin in graph.op_by_name:
        return (
            f"pins puts {op} on the server and {origin} on the device, which contradict: what {origin} needs takes {op} along"
            f"{through}, as results never flow back from the server; drop one of the two pins"
        )
    why = "is private" if origin in private else "cannot be sent"
    return (
        f"pins puts {op} on the server, yet it needs the model input {origin}{through}, which {why}; drop the pin"
        f"{' or let the input leave the device' if origin in private else ''}"
    )
