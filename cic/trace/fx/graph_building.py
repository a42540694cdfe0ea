"""From a flat, functional fx graph to a `Graph`: which nodes are ops, which values are tensors, who reads them.

* Ops are the calls that depend on a model input, each with the `getitem`s that take its results apart.
* Constants (weights and what is computed from them alone) are not ops; each half has its own.
* Free views are not ops: reading a view is reading its base, returning a view returns its base.
* A result that depends on no input stands neither among the ops nor among the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import fx

from cic.graph import Graph, Op, Tensor
from cic.trace.fx.constants import dependent_nodes
from cic.trace.fx.failure import last_user_line
from cic.trace.fx.inner_work import work_of
from cic.trace.fx.naming import name_ops
from cic.trace.fx.pieces import is_dense
from cic.trace.fx.schema import is_getitem, kind_of
from cic.trace.fx.signature import signature_of
from cic.trace.fx.views import base_of, is_free_view
from cic.trace.fx.work import bytes_of, traffic_of
from codegen.dtypes import type_name


def build_graph(module: fx.GraphModule, name: str) -> Graph:
    """Return the unfused `Graph` of a module from `make_functional`; Op.members and Tensor.name are its node names."""
    nodes = list(module.graph.nodes)
    dependent = dependent_nodes(module.graph)
    leads = [node for node in nodes if node in dependent and _is_op(node)]
    inputs = [node for node in nodes if node.op == "placeholder"]
    reading = _Reading(dependent)
    for lead in leads:
        reading.read(lead)
    results = list(next(node for node in nodes if node.op == "output").args[0])
    outputs = list(dict.fromkeys(base_of(node) for node in results if node in dependent))

    names = name_ops(leads, taken=())
    values: list[fx.Node] = [*inputs, *(value for lead in leads for value in _values(lead))]
    pinned = _order_sensitive(nodes)
    tensors = tuple(
        _tensor(value, names, reading.consumers.get(value, []), value in outputs, value not in pinned) for value in values
    )
    return Graph(
        name=name,
        ops=tuple(_op(module, lead, names[lead], reading.inputs[lead]) for lead in leads),
        tensors=tensors,
        inputs=tuple(node.name for node in inputs),
        outputs=tuple(node.name for node in outputs),
    )


@dataclass
class _Reading:
    """Which values each op reads, and the other way round, both in order."""

    dependent: set[fx.Node]
    inputs: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)
    consumers: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)

    def read(self, lead: fx.Node) -> None:
        bases = [base_of(source) for source in lead.all_input_nodes if source in self.dependent]
        self.inputs[lead] = list(dict.fromkeys(bases))
        for base in self.inputs[lead]:
            self.consumers.setdefault(base, []).append(lead)


def _is_op(node: fx.Node) -> bool:
    return node.op in ("call_function", "call_module") and not is_getitem_of_several(node) and not is_free_view(node)


def is_getitem_of_several(node: fx.Node) -> bool:
    """Tell whether the node takes one result of an op that has several, so belongs to that op."""
    return is_getitem(node) and isinstance(node.args[0], fx.Node) and isinstance(node.args[0].meta.get("val"), list | tuple)


def _values(lead: fx.Node) -> list[fx.Node]:
    """Return the nodes that stand for the op's results: itself, or the `getitem`s on it."""
    if not isinstance(lead.meta.get("val"), list | tuple):
        return [lead]
    items = [user for user in lead.users if is_getitem_of_several(user)]
    inner = [value for item in items for value in _values(item)]
    direct = [user for user in lead.users if user not in items]
    return [lead, *inner] if direct else inner


def _getitems(lead: fx.Node) -> list[fx.Node]:
    items = [user for user in lead.users if is_getitem_of_several(user)]
    return [node for item in items for node in (item, *_getitems(item))]


def _op(module: fx.GraphModule, lead: fx.Node, name: str, inputs: list[fx.Node]) -> Op:
    work = work_of(module, lead)
    kind = kind_of(lead) if lead.op == "call_function" else str(lead.target).rpartition("_")[0]
    return Op(
        name=name,
        # What runs a graph of its own is priced by the largest product in it.
        kinds=(kind, work.product) if work.product not in ("", kind.rpartition(".")[2]) else (kind,),
        members=(lead.name, *(item.name for item in _getitems(lead))),
        inputs=tuple(value.name for value in inputs),
        outputs=tuple(value.name for value in _values(lead)),
        flops=work.flops,
        memory_bytes=traffic_of(lead),
        signature=signature_of(module, [lead]),
        source=last_user_line(lead.meta.get("stack_trace", "")),
        arithmetic=work.arithmetic,
        starts=work.steps.starts,
        reread_bytes=work.steps.reread_bytes,
    )


def _tensor(value: fx.Node, names: dict[fx.Node, str], consumers: list[fx.Node], is_output: bool, order_free: bool) -> Tensor:
    held = value.meta.get("val")
    producer = value
    while is_getitem_of_several(producer):
        producer = producer.args[0]  # type: ignore[assignment]
    shape = tuple(held.shape) if isinstance(held, torch.Tensor) else ()
    fixed = all(isinstance(size, int) for size in shape)
    return Tensor(
        name=value.name,
        producer=names.get(producer),
        consumers=tuple(names[consumer] for consumer in consumers),
        shape=shape if fixed else (),
        dtype=type_name(held.dtype) if isinstance(held, torch.Tensor) else type(held).__name__,
        bytes=bytes_of(held),
        is_output=is_output,
        may_cross=isinstance(held, torch.Tensor) and fixed and order_free and _is_sendable(value, held),
    )


def _is_sendable(value: fx.Node, held: torch.Tensor) -> bool:
    plain = held.layout is torch.strided and not held.is_complex() and not str(held.dtype).startswith("torch.q")
    return plain and not value.meta.get("surprising", False)


def _order_sensitive(nodes: list[fx.Node]) -> set[fx.Node]:
    """Return the values a piece reads whose strides it cannot restore (expanded ones): they must not be sent."""
    read = [source for node in nodes if node.op == "call_module" for source in node.all_input_nodes]
    return {base_of(source) for source in read if not _is_restorable(source.meta.get("val"))}


def _is_restorable(value: object) -> bool:
    return not isinstance(value, torch.Tensor) or value.layout is not torch.strided or is_dense(value)
