"""A batch of calibration inputs as a person writes it: which parts are arguments, names and labels. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cic.errors import CompileError
from codegen.calls.call import flatten_call, takes_names
from codegen.calls.structure import Structure
from codegen.checked_json import shown
from codegen.errors import CodegenError

_PARTS = ("args", "kwargs", "labels")
_FORMS = "a batch is an array, (array, labels), or {'args': (…), 'kwargs': {…}, 'labels': …}"


@dataclass(frozen=True)
class Batch:
    """Arguments by position and by name, and labels or None."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    labels: Any


def batches_in(given: Any, example: Sequence[torch.Tensor]) -> Iterable[Any]:
    """The batches of a calibration. Raises CompileError where one batch stands in place of a list of them.

    example: the inputs that the model was compiled for.
    """
    if isinstance(given, Mapping | str | bytes) or not isinstance(given, Iterable):
        raise CompileError(f"calibration is {_named(given)}; give a list of batches, where {_FORMS}")
    shape = _shape_of(given)
    if shape is not None and len(shape) in {0, *(tensor.dim() for tensor in example)}:
        raise CompileError(f"calibration is {_named(given)}, which is one batch; write calibration=[…] around it")
    return given


def batch_of(number: int, given: Any, structure: Structure) -> Batch:
    """One batch taken apart. structure: of the calls that the model was compiled for.

    Raises CompileError for what is no batch; says what was given and what to write.
    """
    if isinstance(given, Mapping):
        return _of_mapping(number, given, takes_names(structure))
    if isinstance(given, tuple | list) and len(given) == 2:
        inputs, labels = given
        if _are_alike(inputs, labels):
            raise CompileError(
                f"calibration batch {number} is a pair of arrays of floats, both of shape {tuple(inputs.shape)}, and the second"
                " of a pair is taken as labels; write calibration=[first, second] for two batches, {'args': (first, second)}"
                " for two inputs of one call"
            )
        return Batch((inputs,), {}, labels)
    return Batch((given,), {}, None)


def flat_inputs(number: int, given: Any, batch: Batch, structure: Structure) -> list[Any]:
    """What the model takes of a batch, flat. Raises CompileError where that is not what it was compiled for."""
    try:
        return flatten_call(structure, batch.args, batch.kwargs)
    except CodegenError as error:
        told = "; ".join(filter(None, (str(error), _hint(given))))
        raise CompileError(f"calibration batch {number} does not fit the model's inputs: {told}") from error


def _of_mapping(number: int, given: Mapping[Any, Any], by_name: bool) -> Batch:
    unknown = [key for key in given if key not in _PARTS]
    if unknown and by_name and not {"args", "kwargs"} & given.keys():
        return Batch((), {key: value for key, value in given.items() if key != "labels"}, given.get("labels"))
    if unknown:
        raise CompileError(
            f"calibration batch {number} has {shown(unknown)}; a dict may have {', '.join(_PARTS)}, and inputs by name belong"
            " in its kwargs, as in {'kwargs': {'image': array}}"
        )
    args, kwargs = given.get("args", ()), given.get("kwargs", {})
    if not isinstance(args, tuple | list):
        raise CompileError(f"calibration batch {number} has {_named(args)} as its args; write {{'args': (array,)}}")
    if not isinstance(kwargs, Mapping):
        raise CompileError(
            f"calibration batch {number} has {_named(kwargs)} as its kwargs; write {{'kwargs': {{'image': array}}}}"
        )
    return Batch(tuple(args), dict(kwargs), given.get("labels"))


def _are_alike(inputs: Any, labels: Any) -> bool:
    """Are both floats of one shape, of more than one dimension? Those are two inputs, and no classes."""
    shape = _shape_of(inputs)
    return shape is not None and len(shape) > 1 and shape == _shape_of(labels) and "float" in str(labels.dtype)


def _hint(given: Any) -> str:
    """What to write, beside what was given."""
    if isinstance(given, Mapping):
        return ""
    if isinstance(given, tuple | list) and len(given) == 1:
        return f"it is a {type(given).__name__} of one thing; write that itself, as in calibration=[array]"
    if isinstance(given, tuple | list) and len(given) == 2:
        return "it is a pair, (inputs, labels); write {'args': (first, second)} for two inputs of one call"
    if _shape_of(given) is not None:
        return f"it is {_named(given)}; write {{'args': (first, second)}} for several inputs of one call"
    return f"it is {_named(given)}; {_FORMS}"


def _named(value: Any) -> str:
    """What was given, in a few words."""
    name = type(value).__name__
    if isinstance(value, Mapping):
        return f"a {name} of {shown(list(value))}"
    if isinstance(value, tuple | list):
        return f"a {name} of {len(value)}"
    shape = _shape_of(value)
    return shown(value) if shape is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name} of shape {shape}"


def _shape_of(value: Any) -> tuple[Any, ...] | None:
    """Of an array; None for all else, such as a table of rows, which has a shape as well."""
    shape = getattr(value, "shape", None) if hasattr(value, "dtype") else None
    return tuple(shape) if isinstance(shape, Iterable) else None
