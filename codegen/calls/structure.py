"""What a call's arguments and a model's answer look like, as plain JSON.

A model is called with nested values and returns nested values, while its halves take and return flat tuples of tensors.
`describe` takes a nested value apart into a JSON-able structure and its tensors in depth-first order (dictionaries in
their own order, fields in the order they are declared); `rebuild` is the way back; `flatten_like` takes another value
of the same structure apart and names the first place where it differs.

Everything that is not a tensor is part of the structure: a graph was traced for those constants, so a call with others
is another program. Classes of namedtuples and dataclasses (the outputs of Hugging Face models are dataclasses) are kept
as "module:qualname". A structure may come from a file that nobody vouches for, so `rebuild` never imports what it names:
it finds a class only in a module that the program itself has imported. Otherwise it returns a dict of a dataclass's fields,
and for a namedtuple, or the named result of a torch function, a namedtuple made anew. Other subclasses of tuple, such as
sizes, come back as plain tuples; the caches of transformers are in `codegen.calls.key_value_cache`.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from codegen.calls.key_value_cache import cache_of, is_cache, parts_of
from codegen.errors import CodegenError

Structure = dict[str, Any]

LONGEST_INT = 1024
"""In bits; Python refuses to write down, and so to keep in a file, an int of thousands of digits."""

_SEQUENCES = ("list", "tuple", "namedtuple")
_MAPPINGS = ("dict", "ordered_dict")
_SETTINGS = ("dtype", "device", "layout", "memory_format")


def describe(value: Any) -> tuple[Structure, list[Any]]:
    """Return the JSON-able structure of `value` and its tensors in depth-first order.

    Raises CodegenError, naming the place, for anything but tensors, None, bool, int, float, str and lists, tuples,
    namedtuples, dicts and dataclasses of these.
    """
    leaves: list[Any] = []
    try:
        return _describe(value, "", leaves), leaves
    except RecursionError as error:
        raise CodegenError("the value holds itself, or is nested too deeply; pass it without what refers back to it") from error


def rebuild(structure: Structure, tensors: Sequence[Any]) -> Any:
    """Return the value that `structure` describes, with `tensors` as its leaves."""
    expected = leaf_count(structure)
    if len(tensors) != expected:
        raise CodegenError(f"the structure has {expected} tensors, but {len(tensors)} were given to rebuild it from")
    return _rebuild(structure, tensors)


def flatten_like(structure: Structure, value: Any) -> list[Any]:
    """Return the tensors of `value` in the order of `structure`; keys of dictionaries may come in any order.

    Raises CodegenError naming the first field that is missing, unexpected, of another kind, or another constant.
    """
    leaves: list[Any] = [None] * leaf_count(structure)
    _flatten(structure, value, "", leaves)
    return leaves


def leaf_count(structure: Structure) -> int:
    """Return how many tensors a value of this structure holds."""
    if structure["kind"] == "tensor":
        return 1
    return sum(leaf_count(item) for item in structure.get("items", ()))


def leaf_names(structure: Structure, root: str = "") -> list[str]:
    """Return where each tensor sits in a value called `root` ("kwargs.mask", "args[0]"), in leaf order."""
    return [path or "the value" for path in _leaf_paths(structure, root)]


def is_tensor(value: Any) -> bool:
    """Tell whether a value counts as a tensor: it has a shape and a dtype."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


# ---------------------------------------------------------------------------------------------------- taking apart


def _describe(value: Any, path: str, leaves: list[Any]) -> Structure:
    if value is None:
        return {"kind": "none"}
    if is_tensor(value):
        leaves.append(value)
        return {"kind": "tensor", "leaf": len(leaves) - 1}
    if type(value) in (bool, int, float, str):
        return _describe_constant(value, path)
    if isinstance(value, type):
        raise CodegenError(f"{_spoken(path)} is the class {value.__qualname__}; pass tensors, constants or containers")
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.init or hasattr(value, field.name)]
        items = [_describe(getattr(value, name), _join(path, name), leaves) for name in fields]
        return {"kind": "dataclass", "class": _class_path(type(value)), "keys": fields, "items": items}
    if isinstance(value, Mapping):
        return _describe_mapping(value, path, leaves)
    if isinstance(value, list | tuple):
        return _describe_sequence(value, path, leaves)
    if is_cache(value):
        kind, parts = parts_of(value, _spoken(path))
        items = [_describe(part, f"{path}[{index}]", leaves) for index, part in enumerate(parts)]
        return {"kind": "cache", "class": kind, "items": items}
    if type(value).__module__ == "torch" and type(value).__name__ in _SETTINGS:
        raise CodegenError(
            f"{_spoken(path)} is {value}, a setting and no value, which cannot be an argument of a split model; fix it inside"
            f" the model, by a module whose forward calls yours with {value}"
        )
    raise CodegenError(
        f"{_spoken(path)} is a {_class_path(type(value))}, which cannot be part of a split model;"
        " pass tensors, None, bool, int, float, str, or lists, tuples, dicts and dataclasses of these"
    )


def _describe_constant(value: bool | int | float | str, path: str) -> Structure:
    if isinstance(value, float) and not math.isfinite(value):
        return {"kind": "float", "value": str(value)}  # JSON has no infinity
    if isinstance(value, int) and value.bit_length() > LONGEST_INT:
        raise CodegenError(f"{_spoken(path)} is {_shown(value)}; the longest that can be kept has {LONGEST_INT} bits")
    return {"kind": "constant", "value": value}


def _describe_mapping(value: Mapping[Any, Any], path: str, leaves: list[Any]) -> Structure:
    for key in value:
        if type(key) not in (str, int, bool):
            raise CodegenError(f"{_spoken(path)} has the key {key!r}; keys must be str, int or bool")
    kind = "ordered_dict" if type(value) is OrderedDict else "dict"
    items = [_describe(item, _join(path, key), leaves) for key, item in value.items()]
    return {"kind": kind, "keys": list(value), "items": items}


def _describe_sequence(value: Sequence[Any], path: str, leaves: list[Any]) -> Structure:
    items = [_describe(item, f"{path}[{index}]", leaves) for index, item in enumerate(value)]
    if isinstance(value, list):
        return {"kind": "list", "items": items}
    fields = _fields_of(type(value))
    if len(fields) == len(items) > 0:
        return {"kind": "namedtuple", "class": _class_path(type(value)), "keys": list(fields), "items": items}
    return {"kind": "tuple", "items": items}


# ------------------------------------------------------------------------------------------------- putting together


def _rebuild(structure: Structure, tensors: Sequence[Any]) -> Any:
    kind = structure["kind"]
    if kind == "tensor":
        return tensors[structure["leaf"]]
    if kind == "none":
        return None
    if kind in ("constant", "float"):
        return _constant_of(structure)
    items = [_rebuild(item, tensors) for item in structure["items"]]
    if kind == "list":
        return items
    if kind == "tuple":
        return tuple(items)
    if kind == "cache":
        return cache_of(structure["class"], items)
    named = dict(zip(structure["keys"], items, strict=True))
    if kind == "dict":
        return named
    if kind == "ordered_dict":
        return OrderedDict(named)
    if kind == "namedtuple":
        return _named_tuple(structure["class"], named)
    if kind == "dataclass":
        known = _known_class(structure["class"], kind, structure["keys"])
        return named if known is None else _construct(known, named, structure["class"])
    raise CodegenError(f"unknown kind {kind!r} in a structure; it was written by a newer version")


def _named_tuple(path: str, named: dict[str, Any]) -> Any:
    known: Any = _known_class(path, "namedtuple", list(named))
    if known is None:
        name = path.rpartition(":")[2].rpartition(".")[2]
        make: Any = namedtuple  # whose type is known to a checker only where the names are written out
        known = make(name if name.isidentifier() else "Answer", list(named), rename=True)
    # torch's own take their values as one row, and a class may have a way of its own of being made.
    return known(named.values()) if hasattr(known, "n_sequence_fields") else tuple.__new__(known, named.values())


def _construct(known: Any, named: dict[str, Any], path: str) -> Any:
    """Return a dataclass with exactly these fields, whatever its `__init__` makes of them or does not take."""
    taken = {field.name for field in dataclasses.fields(known) if field.init}
    try:
        value = known(**{name: item for name, item in named.items() if name in taken})
    except Exception:  # it takes something else, from which the fields were made  # noqa: BLE001
        value = known.__new__(known)
    try:
        for name, item in named.items():
            if getattr(value, name, named) is not item:
                object.__setattr__(value, name, item)
    except Exception as error:
        raise CodegenError(f"{path} cannot be built from its fields {', '.join(named)}: {error}") from error
    return value


def _known_class(path: str, kind: str, fields: Sequence[str]) -> Callable[..., Any] | None:
    """Return the class, or None if the program has not imported it or it is no longer what it was.

    Looked up without `getattr`, which in many packages imports a module on the way.
    """
    module_name, _, qualname = path.partition(":")
    found: Any = sys.modules.get(module_name)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if not isinstance(found, type):
        return None
    if kind == "dataclass":
        fits = dataclasses.is_dataclass(found) and set(fields) <= {field.name for field in dataclasses.fields(found)}
    else:
        fits = issubclass(found, tuple) and _fields_of(found) == tuple(fields)
    return found if fits else None


def _fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of a namedtuple's values, or of those of a named result of a torch function; () for other tuples."""
    names = getattr(kind, "_fields", ()) or (getattr(kind, "__match_args__", ()) if hasattr(kind, "n_sequence_fields") else ())
    return tuple(name for name in names if isinstance(name, str))


def _constant_of(structure: Structure) -> Any:
    return float(structure["value"]) if structure["kind"] == "float" else structure["value"]


# -------------------------------------------------------------------------------------------------------- comparing


def _flatten(structure: Structure, value: Any, path: str, leaves: list[Any]) -> None:
    kind = structure["kind"]
    if kind == "tensor":
        if not is_tensor(value):
            raise CodegenError(f"{_spoken(path)}: compiled for a tensor, called with {_shown(value)}")
        leaves[structure["leaf"]] = value
    elif kind in ("none", "constant", "float"):
        _check_constant(structure, value, path)
    elif kind in _SEQUENCES:
        _flatten_sequence(structure, value, path, leaves)
    elif kind in _MAPPINGS:
        if not isinstance(value, Mapping):
            raise CodegenError(f"{_spoken(path)}: compiled for a dict, called with {_shown(value)}")
        _check_keys(structure["keys"], list(value), path)
        for key, item in zip(structure["keys"], structure["items"], strict=True):
            _flatten(item, value[key], _join(path, key), leaves)
    elif kind == "dataclass":
        if isinstance(value, type) or _class_path(type(value)) != structure["class"]:
            raise CodegenError(f"{_spoken(path)}: compiled for a {structure['class']}, called with {_shown(value)}")
        for key, item in zip(structure["keys"], structure["items"], strict=True):
            _flatten(item, getattr(value, key), _join(path, key), leaves)
    elif kind == "cache":
        given = parts_of(value, _spoken(path))[1] if is_cache(value) else value
        _flatten_sequence({**structure, "kind": "list" if isinstance(given, list) else "tuple"}, given, path, leaves)
    else:
        raise CodegenError(f"unknown kind {kind!r} in a structure; it was written by a newer version")


def _flatten_sequence(structure: Structure, value: Any, path: str, leaves: list[Any]) -> None:
    kind, items = structure["kind"], structure["items"]
    expected = list if kind == "list" else tuple
    if not isinstance(value, expected):
        raise CodegenError(f"{_spoken(path)}: compiled for a {kind}, called with {_shown(value)}")
    if kind == "namedtuple" and _class_path(type(value)) != structure["class"]:
        raise CodegenError(f"{_spoken(path)}: compiled for a {structure['class']}, called with {_shown(value)}")
    if len(value) != len(items):
        raise CodegenError(
            f"{_spoken(path)}: compiled with {len(items)} entries, called with {len(value)}; pass by position what"
            " was passed by position when the model was compiled, and the rest by name"
        )
    for index, item in enumerate(items):
        _flatten(item, value[index], f"{path}[{index}]", leaves)


def _check_constant(structure: Structure, value: Any, path: str) -> None:
    compiled = None if structure["kind"] == "none" else _constant_of(structure)
    same_nan = isinstance(compiled, float) and compiled != compiled and isinstance(value, float) and value != value
    if type(value) is type(compiled) and (value == compiled or same_nan):
        return
    raise CodegenError(f"{_spoken(path)}: compiled for {compiled!r}, called with {_shown(value)}; compile again for it")


def _check_keys(compiled: Sequence[Any], called: Sequence[Any], path: str) -> None:
    for key in compiled:
        if key not in called:
            raise CodegenError(f"{_join(path, key)} is missing: it was given when the model was compiled")
    for key in called:
        if key not in compiled:
            raise CodegenError(
                f"{_join(path, key)} was not given when the model was compiled; leave it out or compile again with it"
            )


def _leaf_paths(structure: Structure, path: str) -> Iterator[str]:
    if structure["kind"] == "tensor":
        yield path
    for index, item in enumerate(structure.get("items", ())):
        named = "keys" in structure and structure["kind"] != "namedtuple"
        yield from _leaf_paths(item, _join(path, structure["keys"][index]) if named else f"{path}[{index}]")


# ----------------------------------------------------------------------------------------------------------- naming


def _join(path: str, key: Any) -> str:
    step = key if isinstance(key, str) else f"[{key!r}]"
    return f"{path}.{step}" if path and isinstance(key, str) else f"{path}{step}"


def _spoken(path: str) -> str:
    return path or "the value"


def _shown(value: Any) -> str:
    if is_tensor(value):
        return f"a tensor of shape {tuple(value.shape)}"
    if value is None or isinstance(value, bool | int | float | str):
        if isinstance(value, int) and value.bit_length() > LONGEST_INT:
            return f"an int of {value.bit_length()} bits"
        return f"{value!r:.200}"
    return f"a {type(value).__qualname__}"


def _class_path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
