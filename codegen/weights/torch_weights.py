"""Weights that torch holds: one tensor of bytes in the process for each, put in place of the copies a program was read with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import fx

from codegen.weights.shared_weights import SMALLEST_BYTES, SharedHalf
from codegen.weights.weight_pool import POOL


def pooled_weights(half: SharedHalf) -> dict[str, torch.Tensor]:
    """Return the bytes of each shared weight of a half, by digest, as the one tensor of this process that holds them."""
    # A clone, since torch aligns its own memory as its kernels like it.
    return {
        sha256: POOL.get(sha256, lambda: torch.frombuffer(half.weight(sha256), dtype=torch.uint8).clone())  # noqa: B023
        for sha256 in dict.fromkeys(place.sha256 for place in half.places)
    }


def share(module: fx.GraphModule, weights: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Let the tensors of `module` whose memory holds the bytes of a pooled weight use the pooled one.

    Returns the pooled tensors in use. The pool knows a weight for as long as one keeps these, not only their memory.

    weights: tensors of bytes, by SHA-256.

    Memory is compared and replaced whole, with all tensors that look at it: tied weights stay tied, and views keep their
    shapes, strides and offsets. Memory that the module writes to stays its own, or other halves would see what it wrote.
    """
    sizes = {weight.nbytes for weight in weights.values()}
    private = {tensor.untyped_storage().data_ptr() for tensor in written_attributes(module)}
    digests: dict[int, str] = {}
    used = {}
    for tensor in _tensors_of(module):
        memory = tensor.untyped_storage()
        place, size = memory.data_ptr(), memory.nbytes()
        if size < SMALLEST_BYTES or size not in sizes or place in private or tensor.device.type != "cpu":
            continue
        if place not in digests:
            digests[place] = hashlib.sha256(torch.empty(0, dtype=torch.uint8).set_(memory).numpy().data).hexdigest()
        weight = weights.get(digests[place])
        if weight is not None:
            used[digests[place]] = weight
            shared = torch.empty(0, dtype=tensor.dtype)
            tensor.data = shared.set_(weight.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())
    return list(used.values())


def written_attributes(module: fx.GraphModule) -> list[torch.Tensor]:
    """Return the tensors of a module that its ops may write to, through whatever views.

    What cannot be told counts as written: whatever an operator on graphs reads, if a write is in any of its graphs.
    """
    inner = [part for part in module.modules() if isinstance(part, fx.GraphModule) and part is not module]
    regions_write = any(_writes(node) for part in inner for node in part.graph.nodes)
    origins: dict[fx.Node, set[str]] = {}
    written: set[str] = set()
    for node in module.graph.nodes:
        if node.op == "get_attr":
            origins[node] = {str(node.target)}
            continue
        if regions_write and isinstance(node.target, torch._ops.HigherOrderOperator):
            written |= _union(origins[read] for read in node.all_input_nodes)
        written |= _union(origins[argument] for argument in _writes(node))
        origins[node] = _union(origins[seen] for seen in _looked_at(node))
    found = [_attribute(module, name) for name in written]
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]


def _writes(node: fx.Node) -> list[fx.Node]:
    """Return the nodes whose values an op writes to."""
    if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
        return []
    declared = node.target._schema.arguments
    given = {argument.name: value for argument, value in zip(declared, node.args, strict=False)} | dict(node.kwargs)
    written: list[fx.Node] = []
    for argument in declared:
        if argument.alias_info is not None and argument.alias_info.is_write:
            fx.map_arg(given.get(argument.name), written.append)
    return written


def _looked_at(node: fx.Node) -> list[fx.Node]:
    """Return the nodes whose memory the value of a node may be a view of."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.all_input_nodes
    if any(result.alias_info is not None for result in node.target._schema.returns):
        return node.all_input_nodes
    # Ops made of others, such as reshape, may return a view of their first argument without saying so.
    if node.target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
        return node.all_input_nodes[:1]
    return []


def _union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)


def _attribute(module: fx.GraphModule, path: str) -> object:
    value: object = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _tensors_of(module: fx.GraphModule) -> Iterator[torch.Tensor]:
    """Yield parameters, buffers and constants, each once."""
    seen = set()
    for part in module.modules():
        for table in (part._parameters, part._buffers, vars(part)):
            for value in table.values():
                if isinstance(value, torch.Tensor) and id(value) not in seen:
                    seen.add(id(value))
                    yield value
