"""Pins and private tensors that contradict each other, found by name before anything is solved."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from cic.errors import CompileError
from cic.graph import Graph
from codegen.checked_json import shown

_SIDES = ("device", "server")


def checked_pins(graph: Graph, pins: Mapping[str, str] | None, private: Sequence[str]) -> dict[str, str]:
    """The pins as a dict, if they and the private tensors name what there is and leave an allowed cut.

    What an op on the device reads must be made there, as results never flow back, and a tensor that stays on the device takes
    its readers along. So the device side is what pins and private model inputs reach by these two steps; a cut is allowed if
    and only if none of it is pinned to the server.

    Raises:
        CompileError: naming the op or tensor that does not exist, or the two pins that contradict.
    """
    if not isinstance(pins, Mapping | None):
        raise CompileError(f"pins is {shown(pins)}; give a dict from the name of an op to 'device' or 'server'")
    if isinstance(private, str) or not isinstance(private, Sequence):
        raise CompileError(f"private is {shown(private)}; give a list of names of tensors")
    pins = dict(pins or {})
    for name, side in pins.items():
        if name not in graph.op_by_name:
            raise CompileError(
                f"pins names the op {shown(name)}, which {graph.name} does not have; {_near(name, graph.op_by_name)}"
            )
        if side not in _SIDES:
            raise CompileError(f"pins puts {name} on {shown(side)}; the sides are 'device' and 'server'")
    for name in private:
        if not isinstance(name, str) or name not in graph.tensor_by_name:
            raise CompileError(
                f"private names the tensor {shown(name)}, which {graph.name} does not have; {_near(name, graph.tensor_by_name)}"
            )
    _check_contradiction(graph, pins, frozenset(private))
    return pins


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
