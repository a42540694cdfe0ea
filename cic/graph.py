"""A traced network: ops and tensors, free of any framework.

`trace` makes a `Graph`, `cost` prices its ops, `lowering` turns both into numbers. An op is the unit of decision and of
pricing: a fused run of framework nodes (convolution + batch norm + activation) is one op whose `members` name the nodes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Tensor:
    """One value that can cross from device to server.

    name: unique in the graph; the framework's own name of the value.
    producer: name of the op that makes it, or None for a model input.
    consumers: names of the ops that read it, in graph order, each once. Reading through a free view counts as reading it.
    shape, dtype: as sent; dtype is a name such as "float32" or "int64".
    bytes: size when sent contiguous and uncompressed.
    is_output: the model returns it (perhaps through a free view), so it must end up on the device.
    may_cross: False for values that cannot be sent (not a plain tensor, or aliased to something mutated later).
    """

    name: str
    producer: str | None
    consumers: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    is_output: bool = False
    may_cross: bool = True


@dataclass(frozen=True, slots=True)
class Op:
    """One unit of decision.

    name: readable and unique, from the module path ("layer1.0.conv1").
    kinds: what its members do, in order ("conv2d", "batch_norm", "relu").
    members: names of the framework nodes it stands for, in order.
    inputs, outputs: tensor names; inputs each once, weights and constants excluded.
    flops: multiply and add counted separately.
    memory_bytes: bytes that must be read and written once, weights included, values inside the run excluded.
    signature: digest of what is computed (kinds, shapes, dtypes, constants); equal signatures take equal time.
    source: "file:line" of the model code that made it, or "".
    arithmetic: the type it calculates in: "float32", "float16" …; "int8" for products of quantised values, whatever their sign.
    starts: how often its kernels are started one after the other beyond the first time: steps of a recurrent layer or a loop.
    reread_bytes: what these later starts read again, mostly from the cache: the weights of a recurrent layer.
    """

    name: str
    kinds: tuple[str, ...]
    members: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    flops: int = 0
    memory_bytes: int = 0
    signature: str = ""
    source: str = ""
    arithmetic: str = "float32"
    starts: int = 0
    reread_bytes: int = 0


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph of ops; `ops` is in an order in which every op follows the producers of its inputs."""

    name: str
    ops: tuple[Op, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def op_by_name(self) -> Mapping[str, Op]:
        return {op.name: op for op in self.ops}

    @cached_property
    def tensor_by_name(self) -> Mapping[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    @cached_property
    def crossable(self) -> frozenset[str]:
        """Names of the tensors that may be sent."""
        return frozenset(tensor.name for tensor in self.tensors if tensor.may_cross)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the ops and tensors: equal digests, same graph (weights are not part of it)."""
        body = {
            "ops": [[op.name, op.kinds, op.members, op.inputs, op.outputs, op.signature] for op in self.ops],
            "tensors": [asdict(tensor) for tensor in self.tensors],
            "inputs": self.inputs,
            "outputs": self.outputs,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
