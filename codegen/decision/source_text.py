"""Foreign text inside generated source: names as identifiers, anything in comments, and nothing breaks out of its place."""

from __future__ import annotations

import re

from codegen.errors import CodegenError

LONGEST_IDENTIFIER = 40
LONGEST_COMMENT = 200

_IDENTIFIER = re.compile(r"[A-Za-z]\w*", re.ASCII)
# Neither quote, backslash, asterisk nor question mark: none can end a comment, a text, or (a trigraph) begin an escape.
_HARMLESS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-+,:;=%()/@#")


def identifier(name: str) -> str:
    """A C and Python identifier that resembles a name: "ResNet-50 (v2)" gives "ResNet_50_v2".

    Never starts with or doubles an underscore, which C and C++ keep for themselves.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "_", name)[:LONGEST_IDENTIFIER].strip("_")
    return words if words[:1].isalpha() else f"model_{words}".rstrip("_")


def check_identifier(prefix: str) -> str:
    """The prefix itself; CodegenError if names in C and C++ cannot start with it."""
    if not _IDENTIFIER.fullmatch(prefix) or "__" in prefix or prefix.endswith("_") or len(prefix) > LONGEST_IDENTIFIER:
        raise CodegenError(
            f"the prefix is {prefix!r}; give a letter, then letters, digits and single underscores, at most "
            f"{LONGEST_IDENTIFIER} in all, such as {identifier(prefix)!r}"
        )
    return prefix


def comment(text: str) -> str:
    """Text for a comment or docstring on one line: what could end it is written by its number, as in <U+002A>."""
    shown = text if len(text) <= LONGEST_COMMENT else text[:LONGEST_COMMENT] + "..."
    return "".join(character if character in _HARMLESS else f"<U+{ord(character):04X}>" for character in shown)
