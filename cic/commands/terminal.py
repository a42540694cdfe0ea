"""The terminal: how wide it is, and sentences in whole words on it."""

from __future__ import annotations

import os
import sys

from cic.printable import printable

_STRONG, _USUAL = "\033[1m", "\033[0m"
_NARROWEST = 40


def room() -> int | None:
    """How many letters a line has room for; None in a pipe or a file, whose lines may be of any length.

    As everywhere the variable COLUMNS, where it is set, knows better.
    """
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    import shutil

    return max(shutil.get_terminal_size().columns, _NARROWEST)


def print_text(text: str, *, strong: bool = False) -> None:
    """Print sentences, broken between words where the terminal is narrow; strong: bold on a terminal."""
    width = room()
    text = printable(text)
    if width is not None:
        import textwrap

        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    print(f"{_STRONG}{text}{_USUAL}" if strong and sys.stdout.isatty() else text)
