"""JSON of a peer: refused where Python's reader is more patient than JSON allows, or than memory does.

That reader takes NaN, 1e400 for infinity, the same key twice and numbers of any length, and its time grows with their square.
"""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any, NoReturn

from cic.errors import ProtocolError

_LONGEST_NUMERAL = 40
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60
_SHOWN.maxlevel, _SHOWN.maxlist, _SHOWN.maxdict = 2, 4, 2


def read_object(content: bytes | bytearray | memoryview, what: str) -> dict[str, Any]:
    """The JSON object in `content`, which the caller has found short enough to be read; what: its name in errors.

    Raises ProtocolError for anything that is not exactly one object of JSON, with each key once and all numbers finite.
    """
    try:
        value = _READER.decode(bytes(content).decode("utf-8"))
    except RecursionError:
        raise ProtocolError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(f"{what} is not JSON: {str(error)[:120]}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is a {type(value).__name__}, expected is an object")
    return value


def compact(value: object) -> bytes:
    """A value as JSON without a blank: on a slow link every byte counts."""
    return _WRITER.encode(value).encode()


def shown(value: object) -> str:
    """What a peer sent, in an error: short however long or deep it is."""
    return _SHOWN.repr(value)


def one_line(text: str, longest: int) -> str:
    """What a peer said, as one line of at most so many letters that can be printed: a terminal obeys others."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest]).split())[:longest]


def _refuse(numeral: str) -> NoReturn:
    raise ValueError(f"it holds the number {numeral[:_LONGEST_NUMERAL]}, which JSON has not or which is too long")


def _real(numeral: str) -> float:
    number = float(numeral)
    return number if math.isfinite(number) else _refuse(numeral)


def _whole(numeral: str) -> int:
    return int(numeral) if len(numeral) <= _LONGEST_NUMERAL else _refuse(numeral)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has the same key twice")
    return made


# Made once: `json.loads` and `json.dumps` make them anew for each call that wants anything unusual.
_READER = json.JSONDecoder(parse_constant=_refuse, parse_float=_real, parse_int=_whole, object_pairs_hook=_each_once)
_WRITER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
