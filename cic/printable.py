"""Text of others as it may be shown: without what a terminal would obey, and what no page may hold. Standard library only."""

from __future__ import annotations

_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """A text without characters that command a terminal, that no page may hold, or that would turn the direction of writing."""
    if text.isprintable():
        return text
    spaced = text.replace("\n", " ").replace("\t", " ")
    return "".join(letter if letter.isprintable() else _UNPRINTABLE for letter in spaced)
