"""JSON read without the module `json`, whose import takes most of a device's way to its first decision.

`json` reads with the scanner in C that is taken here. Its 8 ms go into regular expressions, of a scanner in Python that stands
by. Where Python has no scanner in C, or one that works otherwise, `json` is imported after all.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def parse(content: bytes) -> Any:
    """The value of a JSON text in UTF-8, as `json.loads` gives it, but without NaN and infinities.

    Raises:
        ValueError: it is no such text.
        RecursionError: it is nested more deeply than Python can follow.
    """
    text = content.decode()
    try:
        from _json import make_scanner

        scanner: Any = make_scanner
        value, end = scanner(_Options)(text, 0)
        if end == len(text):
            return value
    except (ImportError, AttributeError, TypeError, StopIteration):
        pass  # StopIteration: no value begins here, which `json` says in words
    import json

    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")


class _Options:
    """What the scanner asks a `json.JSONDecoder` for."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, staticmethod(_refuse)
