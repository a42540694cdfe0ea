"""Sound inputs made unsound: bits, lengths and whole stretches of bytes changed, values of JSON swapped for extreme ones.

All draws come from the generator that is passed, so a seed makes the same inputs again.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Iterator, Sequence
from typing import Any

Json = Any

# Numbers that programs take for other things, sizes that nobody has, and values of every other type.
EXTREMES: tuple[Json, ...] = (
    *(None, True, False, 0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63)),
    *(10**400, -(10**400), 10**4000, 0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, -1e308),
    *(float("inf"), float("-inf"), float("nan")),
    *("", "x", "0", "nan", "\x00", "\ud800", "../../x", "/dev/zero", "a" * 100_000, "\x1b[31m", "é" * 50, "１２"),
    *([], {}, [[]], [None], [{}], [[[[[[]]]]]], {"": 0}, {"x": {"x": {}}}, [0] * 10_000),
)


def mutated_bytes(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """`content` changed in one of many ways, and in which."""
    way = draw.choice(("flip", "flips", "truncate", "extend", "overwrite", "delete", "repeat", "swap", "length", "splice"))
    changed = bytearray(content)
    size = len(changed)
    at, span = (draw.randrange(size), 1 + draw.randrange(min(size, 64))) if size else (0, 0)
    if way == "extend" or not size:
        changed += draw.choice((b"\0", b"\xff", content, bytes(5000), draw.randbytes(1 + draw.randrange(100))))
    elif way in ("flip", "flips"):
        for _ in range(1 if way == "flip" else draw.randrange(2, 20)):
            changed[draw.randrange(size)] ^= 1 << draw.randrange(8)
    elif way == "truncate":
        del changed[at:]
    elif way == "overwrite":
        changed[at : at + span] = draw.choice((bytes(span), b"\xff" * span, draw.randbytes(span)))
    elif way == "delete":
        del changed[at : at + span]
    elif way == "repeat":
        changed[at:at] = bytes(changed[at : at + span]) * draw.choice((1, 2, 50, 1000))
    elif way == "swap":
        other = draw.randrange(size)
        changed[at : at + span], changed[other : other + span] = changed[other : other + span], changed[at : at + span]
    elif way == "length":
        _write_number(changed, at, draw)
    else:
        other = draw.randrange(size)
        changed[at:] = changed[other:]
    return bytes(changed), f"{way} at {at}"


def _write_number(changed: bytearray, at: int, draw: random.Random) -> None:
    """Put an extreme number where a length may stand, in either byte order."""
    width, code = draw.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    largest = 256**width - 1
    number = draw.choice((0, 1, largest, largest // 2, largest // 2 + 1, largest - 1, len(changed), draw.randrange(largest)))
    changed[at : at + width] = struct.pack(draw.choice("<>") + code, min(number, largest))


def mutated_json(value: Json, draw: random.Random, changes: int = 1) -> tuple[Json, str]:
    """A copy of a JSON value with some places changed: swapped for an extreme, left out, doubled, moved; and where."""
    value, places = copy.deepcopy(value), []
    for _ in range(changes):
        everywhere = list(_places(value, ()))
        if not everywhere:
            return copy.deepcopy(draw.choice(EXTREMES)), "the whole"
        holder, key, path = draw.choice(everywhere)
        way = draw.choice(("swap", "swap", "swap", "near", "remove", "double", "move"))
        places.append(f"{way} {'/'.join(map(str, path))}")
        _change(holder, key, way, everywhere, draw)
    return value, ", ".join(places)


def _change(holder: Any, key: Any, way: str, everywhere: Sequence[tuple[Any, Any, Any]], draw: random.Random) -> None:
    if way == "remove":
        del holder[key]
    elif way == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif way == "double":
        holder[f"{key}_2"] = copy.deepcopy(holder[key])
    elif way == "move":
        other, place, _ = draw.choice(everywhere)
        holder[key] = copy.deepcopy(other[place])
    elif way == "near" and type(holder[key]) in (int, float):
        number = holder[key]
        holder[key] = draw.choice((-number, number + 1, number - 1, number * 10**6, number / 2 if abs(number) < 1e300 else 0.5))
    else:
        # A copy: a later change may go inside it.
        holder[key] = copy.deepcopy(draw.choice(EXTREMES))


def _places(value: Json, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Everything inside a JSON value: what holds it, under which key or index, and the way there."""
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key, (*path, key)
        yield from _places(value[key], (*path, key))
