"""Can a value name a file? Standard library only, and little of it: a device asks before its first decision."""

from __future__ import annotations

import os


def names_file(value: object) -> bool:
    """Is it a text or a path that the system can take? A zero ends a path there; a lone surrogate stands for no byte."""
    if not isinstance(value, str) and not hasattr(value, "__fspath__"):
        return False
    try:
        name = str(value)
        return bool(name) and b"\0" not in os.fsencode(name)
    except ValueError:
        return False
