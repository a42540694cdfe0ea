"""A structure that comes from a file, checked before anything is built from it.

`codegen.calls.structure` says what it means.

Standard library only, and little of it: a device checks the graph of a splitting model with it.
"""

from __future__ import annotations

from codegen.errors import CodegenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Python gives up at a depth of about 1,000; no call or answer is nested nearly as deep.
LARGEST_DEPTH = 64
_PLAIN = ("list", "tuple", "cache")
_KEYED = ("dict", "ordered_dict")
_CLASSES = ("namedtuple", "dataclass")
_FLOATS = ("nan", "inf", "-inf")


def check_structure(structure: Any, where: str) -> int:
    """How many tensors a value of this structure holds.

    Raises:
        CodegenError: it is not as `codegen.calls.structure.describe` writes it; names the place.
    """
    return _check(structure, where, 0, 0)


def _check(structure: Any, where: str, leaves: int, depth: int) -> int:
    """The number of leaves up to and with this structure, of which `leaves` come before it."""
    if depth > LARGEST_DEPTH:
        raise CodegenError(f"{where} is nested deeper than {LARGEST_DEPTH} levels")
    kind = structure.get("kind") if isinstance(structure, dict) else None
    if kind == "tensor":
        if type(structure.get("leaf")) is not int or structure["leaf"] != leaves:
            raise CodegenError(f"{where} is tensor {structure.get('leaf')!r:.80} where number {leaves} comes next")
        return leaves + 1
    if kind == "none":
        return leaves
    if kind == "constant" or kind == "float":
        value = structure.get("value")
        fits = value in _FLOATS if kind == "float" else type(value) in (bool, int, float, str)
        # A comparison, as NaN and the infinities that 1e999 stands for are no constants: these are kept as texts.
        if not fits or (type(value) is float and not abs(value) < float("inf")):
            raise CodegenError(f"{where} is the {kind} {value!r:.80}, which is not as it is written")
        return leaves
    if type(kind) is not str or kind not in (*_PLAIN, *_KEYED, *_CLASSES):
        raise CodegenError(f"{where} is of the unknown kind {kind!r:.80}")
    items = structure.get("items")
    if kind == "cache" and type(structure.get("class")) is not str:
        raise CodegenError(f"{where} is a cache of the class {structure.get('class')!r:.80}; module:name is expected")
    if not isinstance(items, list):
        raise CodegenError(f"{where} is a {kind} whose items are {items!r:.80}")
    keys = range(len(items)) if kind in _PLAIN else _keys(structure, kind, len(items), where)
    for key, item in zip(keys, items, strict=True):
        leaves = _check(item, f"{where}[{key!r:.80}]", leaves, depth + 1)
    return leaves


def _keys(structure: Any, kind: str, length: int, where: str) -> list[Any]:
    keys = structure.get("keys")
    allowed = (str, int, bool) if kind in _KEYED else (str,)
    if not isinstance(keys, list) or len(keys) != length or any(type(key) not in allowed for key in keys):
        raise CodegenError(f"{where} is a {kind} of {length} items whose keys are {keys!r:.80}")
    if len(set(keys)) != length:
        raise CodegenError(f"{where} is a {kind} with a key twice: {keys!r:.80}")
    if kind in _CLASSES:
        name = structure.get("class")
        if type(name) is not str or not all(name.partition(":")):
            raise CodegenError(f"{where} is a {kind} of the class {name!r:.80}; module:name is expected")
    return keys
