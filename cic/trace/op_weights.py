"""How many bytes of weights each op brings to the machine it runs on; a weight of several ops is counted once where it can be.

A weight is on the device if any op that uses it is. Where one of them comes before all others, it is there whenever any of them
is, as a device side has all that its ops depend on: so the weight is counted with that one, and exactly. Where several do not
depend on each other, it is counted with each of these: a cut with more than one of them on the device needs less than is
counted, and none needs more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cic.graph import Graph
from cic.trace.fx.traced_model import TracedModel
from cic.trace.traced import Traced

if TYPE_CHECKING:
    import onnx_ir as ir
    from torch import fx

Use = tuple[int, frozenset[int]]
"""The bytes of a weight, and the ops that use it by their places in the graph."""


def op_weights(traced: Traced) -> tuple[int, ...]:
    """Bytes of weights for each op of the graph."""
    op_of = {member: index for index, op in enumerate(traced.graph.ops) for member in op.members}
    if isinstance(traced, TracedModel):
        return spread(traced.graph, _torch_uses(traced.module, op_of))
    return spread(traced.graph, _onnx_uses(traced.model, op_of))  # type: ignore[attr-defined]


def spread(graph: Graph, uses: Iterable[Use]) -> tuple[int, ...]:
    """Each weight with those of its users that depend on no other of them."""
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    readers: list[list[int]] = [[] for _ in graph.ops]
    for tensor in graph.tensors:
        if tensor.producer is not None:
            readers[op_id[tensor.producer]] += [op_id[name] for name in tensor.consumers]
    total = [0] * len(graph.ops)
    after: dict[int, frozenset[int]] = {}
    for size, users in uses:
        below: set[int] = set()
        for user in sorted(users):
            if user in below:
                continue
            total[user] += size
            if len(users) > 1:
                after[user] = after.get(user) or _downstream(readers, user)
                below |= after[user]
    return tuple(total)


def _downstream(readers: list[list[int]], op: int) -> frozenset[int]:
    found, waiting = {op}, deque([op])
    while waiting:
        for reader in readers[waiting.popleft()]:
            if reader not in found:
                found.add(reader)
                waiting.append(reader)
    return frozenset(found)


def _torch_uses(module: fx.GraphModule, op_of: Mapping[str, int]) -> list[Use]:
    users: dict[tuple[int, int], set[int]] = {}
    for node in module.graph.nodes:
        if node.op not in ("get_attr", "call_module"):
            continue
        held: Any = module
        for part in str(node.target).split("."):
            held = getattr(held, part)
        using = {op_of[node.name]} if node.name in op_of else _torch_users(node, op_of)
        for tensor in _tensors_in(held):
            # The same memory under two names is one weight.
            users.setdefault((tensor.data_ptr(), tensor.nbytes), set()).update(using)
    return [(size, frozenset(using)) for (_, size), using in users.items()]


def _torch_users(node: fx.Node, op_of: Mapping[str, int]) -> set[int]:
    """The ops that read a weight, be it through a view, or through what is computed from weights alone."""
    found: set[int] = set()
    seen, waiting = {node}, deque([node])
    while waiting:
        for user in waiting.popleft().users:
            if user.name in op_of:
                found.add(op_of[user.name])
            elif user not in seen:
                seen.add(user)
                waiting.append(user)
    return found


def _tensors_in(held: Any) -> Iterator[Any]:
    import torch

    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, torch.nn.Module):
        yield from (*held.parameters(), *held.buffers())


def _onnx_uses(model: ir.Model, op_of: Mapping[str, int]) -> list[Use]:
    users: dict[int, tuple[int, set[int]]] = {}
    for node in model.graph:
        if str(node.name) in op_of:
            for key, size in _onnx_weights(node, op_of, set()):
                users.setdefault(key, (size, set()))[1].add(op_of[str(node.name)])
    return [(size, frozenset(using)) for size, using in users.values()]


def _onnx_weights(node: ir.Node, op_of: Mapping[str, int], seen: set[int]) -> Iterator[tuple[int, int]]:
    """The weights that a node needs, each by a number of its own and with its bytes: its own, those in its bodies, and those
    that constants which it reads are computed from."""
    import onnx_ir as ir

    from codegen.splitters.onnx_wiring import all_nodes, bodies, reads

    values = reads(node)
    for body in bodies(node):
        values += body.initializers.values()
        values += [value for inner in all_nodes(body) for value in inner.inputs if value is not None]
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.TENSOR:
            yield id(attribute), attribute.as_tensor().nbytes
    for value in values:
        if id(value) in seen:
            continue
        seen.add(id(value))
        producer = value.producer()
        if value.const_value is not None and producer is None:
            yield id(value), value.const_value.nbytes
        elif producer is not None and str(producer.name) not in op_of:
            yield from _onnx_weights(producer, op_of, seen)
