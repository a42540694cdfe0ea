"""A call of a model, as a person writes it, turned into the flat tensors that halves take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codegen.calls.structure import Structure, describe, flatten_like
from codegen.errors import CodegenError

_BY_POSITION = "by_position"


def describe_named(inputs: Mapping[str, Any]) -> Structure:
    """Return the structure of the calls of a model whose inputs have names and an order, as those of ONNX have.

    Such a model takes them either way, as a function of Python does.
    """
    return {**describe({"args": (), "kwargs": dict(inputs)})[0], _BY_POSITION: True}


def takes_names(structure: Structure) -> bool:
    """Tell whether calls of this structure may give each input by name or by position (`describe_named`)."""
    return structure.get(_BY_POSITION) is True


def flatten_call(structure: Structure, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the tensors of a call in the order of `structure`.

    Raises CodegenError naming the argument that is missing, there twice, one too many, or not what the model was compiled for.
    """
    if takes_names(structure):
        args, kwargs = (), _named(structure["items"][1]["keys"], args, kwargs)
    return flatten_like(structure, {"args": tuple(args), "kwargs": dict(kwargs)})


def _named(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if len(args) > len(names):
        raise CodegenError(f"the model takes {len(names)} inputs ({', '.join(names)}), called with {len(args)} by position")
    named = dict(zip(names, args, strict=False))
    for name in kwargs:
        if name in named:
            raise CodegenError(f"the input {name!r} is given by position and by name; give it once")
    return {**named, **kwargs}
