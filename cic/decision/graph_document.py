"""The graph line of a `.cic` file becomes a `StoredGraph`: every field is checked before its use. Standard library only."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from cic.decision.stored_calibration import read_calibration
from cic.decision.stored_graph import StoredCall, StoredForm, StoredGraph, StoredInput, StoredOp, StoredTensor
from cic.decision.stored_limits import read_limits
from cic.errors import ArtifactError
from codegen.calls.structure_check import check_structure
from codegen.checked_json import LARGEST_COUNT, Fields, as_count, as_number, as_text
from codegen.dtypes import BYTES_OF
from codegen.errors import CodegenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_VALUES = frozenset(("mean", "deviation", "low", "high"))


def read_graph(document: Any, ops: int, codecs: Sequence[Sequence[str]], where: str) -> StoredGraph:
    """The graph that stands beside a table of as many cuts, with these codecs, whose provenance speaks of so many ops.

    Whether the numbers are right is for `cic.compilation.verification` to find out.

    Raises:
        ArtifactError: names the field of `document` that is not as CIC writes it.
    """
    try:
        graph = _graph(Fields(document))
        _check_beside_table(graph, ops, codecs)
    except (TypeError, ValueError, AttributeError, CodegenError) as error:
        raise ArtifactError(f"{where}: the graph is not as CIC writes it: {error}; compile again") from error
    return graph


def _graph(fields: Fields) -> StoredGraph:
    ops = tuple(_op(each) for each in fields.objects("ops"))
    tensors = tuple(_tensor(each, len(ops)) for each in fields.objects("tensors"))
    if not tensors:
        raise ValueError("it has no tensors")
    for field, named in (("ops", [op.name for op in ops]), ("tensors", [tensor.name for tensor in tensors])):
        if len(set(named)) != len(named):
            raise ValueError(f"a name in {field} is there twice")
    cuts = fields.items("cuts")
    graph = StoredGraph(
        ops=ops,
        tensors=tensors,
        cuts=tuple(_ascending(cut, len(ops), fields, f"cuts[{index}]") for index, cut in enumerate(cuts)),
        alternatives=(),
        inputs=read_call(fields.object("inputs")),
        calibration=fields.maybe(lambda name: read_calibration(fields.object(name), len(ops)), "calibration"),
        limits=read_limits(fields.object("limits"), len(ops)) if "limits" in fields else None,
    )
    forms = [len(tensor.codecs) for tensor in graph.read]
    alternatives = tuple(_forbidden(pairs, forms, fields) for pairs in fields.items("alternatives"))
    return graph if not alternatives else graph.replaced(alternatives=alternatives)


def _check_beside_table(graph: StoredGraph, ops: int, codecs: Sequence[Sequence[str]]) -> None:
    if len(graph.ops) != ops:
        raise ValueError(f"it has {len(graph.ops)} ops, information says {ops}")
    if len(graph.cuts) != len(codecs):
        raise ValueError(f"it has {len(graph.cuts)} cuts, the table {len(codecs)}")
    for index, (on_device, used) in enumerate(zip(graph.cuts, codecs, strict=True)):
        if used and len(used) != (sent := len(graph.crossing(frozenset(on_device)))):
            raise ValueError(f"cuts[{index}] sends {sent} tensors, for which the table has {len(used)} codecs")


def _op(fields: Fields) -> StoredOp:
    return StoredOp(
        name=fields.text("name"),
        kinds=fields.texts("kinds"),
        device_ns=fields.count("device_ns"),
        server_ns=fields.count("server_ns"),
        pinned=fields.count("pinned", 3),
    )


def _tensor(fields: Fields, ops: int) -> StoredTensor:
    producer, consumers = fields["producer"], _ascending(fields["consumers"], ops, fields, "consumers")
    if type(producer) is not int or not -1 <= producer < ops:
        raise fields.unfit("producer", producer, f"-1 or one of {ops} ops")
    if consumers and consumers[0] <= producer:
        raise ValueError(f"{fields.where} is read by op {consumers[0]} before op {producer} makes it")
    tensor = StoredTensor(
        name=fields.text("name"),
        producer=producer,
        consumers=consumers,
        wire_bytes=fields.count("wire_bytes"),
        shape=_shape(fields),
        dtype=fields.text("dtype"),
        may_cross=fields.truth("may_cross"),
        is_output=fields.truth("is_output"),
        forms=tuple(_form(form, fields) for form in fields.items("forms")),
    )
    if len({form.codec for form in tensor.forms}) != len(tensor.forms):
        raise ValueError(f"{fields.path('forms')} has a codec twice")
    width, elements = BYTES_OF.get(tensor.dtype), prod(tensor.shape)
    if width is not None and tensor.wire_bytes != elements * width:
        raise ValueError(
            f"{fields.path('wire_bytes')} is {tensor.wire_bytes}, {elements} elements of {tensor.dtype} take {elements * width}"
        )
    return tensor


def _form(form: Any, fields: Fields) -> StoredForm:
    if not isinstance(form, list) or len(form) != 5:
        raise fields.unfit("forms", form, "a codec, bytes, ns, ns and an error")
    return StoredForm(
        codec=as_text(form[0], fields, "forms"),
        wire_bytes=as_count(form[1], fields, "forms"),
        encode_ns=as_count(form[2], fields, "forms"),
        decode_ns=as_count(form[3], fields, "forms"),
        error=as_number(form[4], fields, "forms"),
    )


def _forbidden(pairs: Any, forms: Sequence[int], fields: Fields) -> tuple[tuple[int, int], ...]:
    if not isinstance(pairs, list):
        raise fields.unfit("alternatives", pairs, "lists of pairs")
    for pair in pairs:
        fits = isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
        if not fits or not 0 <= pair[0] < len(forms) or not 0 < pair[1] < forms[pair[0]]:
            raise fields.unfit("alternatives", pair, "a tensor and one of its codecs after the first")
    return tuple((pair[0], pair[1]) for pair in pairs)


def read_call(fields: Fields) -> StoredCall:
    """The example call in a graph. Raises ValueError or CodegenError, naming the field."""
    structure, tensors = fields["structure"], tuple(_input(each) for each in fields.objects("tensors"))
    leaves = check_structure(structure, fields.path("structure"))
    if leaves != len(tensors):
        raise ValueError(f"{fields.path('structure')} has {leaves} tensors, {fields.path('tensors')} {len(tensors)}")
    return StoredCall(structure=structure, tensors=tensors)


def _input(fields: Fields) -> StoredInput:
    order, shape = fields.maybe(fields.counts, "order"), _shape(fields)
    if order is not None and sorted(order) != list(range(len(shape))):
        raise fields.unfit("order", list(order), "its dimensions in some order")
    open_axes = fields.counts("open_axes") if "open_axes" in fields else ()
    if len(open_axes) > 1 or any(axis >= len(shape) for axis in open_axes):
        raise fields.unfit("open_axes", list(open_axes), "one of its dimensions")
    return StoredInput(
        name=fields.text("name"),
        shape=shape,
        dtype=fields.text("dtype"),
        values=_values(fields.object("values")),
        order=order,
        open_axes=open_axes,
    )


def _values(fields: Fields) -> dict[str, float]:
    """As they are: a whole number may be larger than floats are exact for."""
    for name in fields.names(_VALUES):
        fields.number(name)
    return {name: fields[name] for name in fields.names(_VALUES)}


def _shape(fields: Fields) -> tuple[int, ...]:
    shape = fields.counts("shape")
    elements = 1
    for dimension in shape:
        elements *= dimension
        if elements >= LARGEST_COUNT:
            raise fields.unfit("shape", list(shape), "fewer than 2^48 elements")
    return shape


def _ascending(value: Any, ops: int, fields: Fields, name: str) -> tuple[int, ...]:
    fits = isinstance(value, list) and all(type(op) is int and 0 <= op < ops for op in value)
    if not fits or any(before >= after for before, after in pairwise(value)):
        raise fields.unfit(name, value, f"numbers of ops, ascending and below {ops}")
    return tuple(value)
