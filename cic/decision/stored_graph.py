"""The graph in a `.cic` file, every field checked before its use. Runs on the device, standard library only."""

from __future__ import annotations

from itertools import pairwise

from cic.decision.units import shown
from cic.errors import ArtifactError
from codegen.calls.structure_check import check_structure
from codegen.errors import CodegenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# As in `mincut.problem`, which a device need not have.
LARGEST_AMOUNT = 2**48
_BYTES_OF = {
    **dict.fromkeys(("bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2"), 1),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64", "complex64"), 8),
    "complex128": 16,
}


def check_graph(graph: Any, codecs: Sequence[Sequence[str]], information: Mapping[str, Any], where: str) -> None:
    """Raise ArtifactError, naming the field, unless `graph` is what `cic.compilation.assembly` writes beside cuts with these
    codecs.

    Whether the numbers are right is for `cic.compilation.verification` to find out.
    """
    try:
        ops, tensors = _list(graph["ops"], "ops"), _list(graph["tensors"], "tensors")
        for index, op in enumerate(ops):
            _check_op(op, f"ops[{index}]")
        for index, tensor in enumerate(tensors):
            _check_tensor(tensor, len(ops), f"tensors[{index}]")
        if not tensors:
            raise ValueError("it has no tensors")
        for field, named in (("ops", ops), ("tensors", tensors)):
            if len({each["name"] for each in named}) != len(named):
                raise ValueError(f"a name in {field} is there twice")
        if len(_list(graph["cuts"], "cuts")) != len(codecs):
            raise ValueError(f"it has {len(graph['cuts'])} cuts, the table {len(codecs)}")
        for index, (on_device, used) in enumerate(zip(graph["cuts"], codecs, strict=True)):
            _ascending(on_device, len(ops), f"cuts[{index}]")
            if used and len(used) != (sent := _crossings(tensors, set(on_device))):
                raise ValueError(f"cuts[{index}] sends {sent} tensors, for which the table has {len(used)} codecs")
        _check_alternatives(graph.get("alternatives", []), tensors)
        _check_groups(_list(graph["member_of"], "member_of"), len(ops), information)
        _check_inputs(graph["inputs"])
    except (KeyError, TypeError, ValueError, AttributeError, CodegenError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(f"{where}: the graph is not as CIC writes it: {said}; compile again") from error


def _crossings(tensors: Sequence[Mapping[str, Any]], on_device: set[int]) -> int:
    """How many tensors a cut sends."""
    made = (tensor for tensor in tensors if tensor["producer"] < 0 or tensor["producer"] in on_device)
    return sum(not on_device.issuperset(tensor["consumers"]) for tensor in made)


def _check_op(op: Mapping[str, Any], where: str) -> None:
    _text(op["name"], f"{where}.name")
    for kind in _list(op["kinds"], f"{where}.kinds"):
        _text(kind, f"{where}.kinds")
    for field in ("device_ns", "server_ns"):
        _amount(op[field], f"{where}.{field}")
    if type(op["pinned"]) is not int or op["pinned"] not in (0, 1, 2):
        raise ValueError(f"{where}.pinned is {shown(op['pinned'])}, expected 0, 1 or 2")


def _check_tensor(tensor: Mapping[str, Any], ops: int, where: str) -> None:
    _text(tensor["name"], f"{where}.name")
    _text(tensor["dtype"], f"{where}.dtype")
    producer = tensor["producer"]
    if type(producer) is not int or not -1 <= producer < ops:
        raise ValueError(f"{where}.producer is {shown(producer)}, there are {ops} ops")
    _ascending(tensor["consumers"], ops, f"{where}.consumers")
    if tensor["consumers"] and tensor["consumers"][0] <= producer:
        raise ValueError(f"{where} is read by op {tensor['consumers'][0]} before op {producer} makes it")
    for field in ("may_cross", "is_output"):
        if type(tensor[field]) is not bool:
            raise ValueError(f"{where}.{field} is {shown(tensor[field])}, expected true or false")
    _amount(tensor["wire_bytes"], f"{where}.wire_bytes")
    _check_size(tensor["shape"], tensor["dtype"], tensor["wire_bytes"], where)
    if "forms" in tensor:
        _check_forms(tensor["forms"], f"{where}.forms")


def _check_size(shape: Any, dtype: str, found: int, where: str) -> None:
    elements = 1
    for dimension in _list(shape, f"{where}.shape"):
        elements *= _amount(dimension, f"{where}.shape")
        _amount(elements, f"{where}.shape")
    if dtype in _BYTES_OF and found != elements * _BYTES_OF[dtype]:
        raise ValueError(f"{where} has {found} bytes, {elements} elements of {dtype} take {elements * _BYTES_OF[dtype]}")


def _check_forms(forms: Any, where: str) -> None:
    for form in _list(forms, where):
        if not isinstance(form, list) or len(form) != 5:
            raise ValueError(f"{where} holds {shown(form)}, expected a codec, bytes, ns, ns and an error")
        _text(form[0], where)
        for amount in form[1:4]:
            _amount(amount, where)
        _number(form[4], where)
    if len({form[0] for form in forms}) != len(forms) or not forms:
        raise ValueError(f"{where} has {len(forms)} codecs; one at least is expected, and each once")


def _check_alternatives(alternatives: Any, tensors: Sequence[Mapping[str, Any]]) -> None:
    forms = [len(tensor.get("forms", [None])) for tensor in tensors if tensor["consumers"]]
    for index, forbidden in enumerate(_list(alternatives, "alternatives")):
        for pair in _list(forbidden, f"alternatives[{index}]"):
            fits = isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
            if not fits or not 0 <= pair[0] < len(forms) or not 0 <= pair[1] < forms[pair[0]]:
                raise ValueError(f"alternatives[{index}] holds {shown(pair)}, expected a tensor and one of its codecs")


def _check_groups(member_of: Sequence[Any], ops: int, information: Mapping[str, Any]) -> None:
    if information["ops"] != ops or len(member_of) != ops:
        raise ValueError(f"it has {ops} ops, member_of names {len(member_of)}, information {information['ops']}")
    groups = information["compressed_ops"]
    if any(type(group) is not int for group in member_of) or set(member_of) != set(range(min(groups, ops + 1))):
        raise ValueError(f"member_of is {shown(member_of)}, expected groups numbered up to {groups}, as information says")


def _check_inputs(inputs: Mapping[str, Any]) -> None:
    tensors = _list(inputs["tensors"], "inputs.tensors")
    leaves = check_structure(inputs["structure"], "inputs.structure")
    if leaves != len(tensors):
        raise ValueError(f"inputs.structure has {leaves} tensors, inputs.tensors {len(tensors)}")
    for index, tensor in enumerate(tensors):
        where = f"inputs.tensors[{index}]"
        _text(tensor["name"], f"{where}.name")
        _text(tensor["dtype"], f"{where}.dtype")
        _check_size(tensor["shape"], "", 0, where)
        values = tensor["values"]
        if not set(values) <= {"mean", "deviation", "low", "high"}:
            raise ValueError(f"{where}.values is {shown(values)}")
        for field, value in values.items():
            _number(value, f"{where}.values.{field}")
        if "order" in tensor and sorted(_list(tensor["order"], where)) != list(range(len(tensor["shape"]))):
            raise ValueError(f"{where}.order is {shown(tensor['order'])}, expected its dimensions in some order")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {shown(value)}, expected a list")
    return value


def _ascending(value: Any, ops: int, where: str) -> None:
    numbers = _list(value, where)
    fits = all(type(op) is int and 0 <= op < ops for op in numbers)
    if not fits or any(before >= after for before, after in pairwise(numbers)):
        raise ValueError(f"{where} is {shown(value)}, expected numbers of ops, ascending and below {ops}")


def _text(value: Any, where: str) -> None:
    # A lone surrogate is a text that cannot be printed or written.
    if type(value) is not str or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{where} is {shown(value)}, expected a text")


def _amount(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value < LARGEST_AMOUNT:
        raise ValueError(f"{where} is {shown(value)}, expected a whole number from 0 to 2^48")
    return value


def _number(value: Any, where: str) -> None:
    if type(value) not in (int, float) or not -1e300 <= value <= 1e300:
        raise ValueError(f"{where} is {shown(value)}, expected a finite number")
