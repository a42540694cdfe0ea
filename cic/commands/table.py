"""A table of text that fits the terminal: cells of words are broken between words, columns are left out before a name is."""

from __future__ import annotations

import re

from cic.commands.terminal import print_text, room
from cic.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
# A number and its unit stay together.
_UNIT = re.compile(r"(?<=\d) (?=\w+/s|[a-zA-Z]?[Bbsx]\b|ms|us|%|of )")
_GLUE = "\N{NO-BREAK SPACE}"


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    left: Sequence[str] = (),
    words: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> None:
    """Print rows of text.

    Args:
        left: columns of words, aligned left; the others hold numbers.
        words: those of them whose cells may be broken between words.
        drop: columns that may be left out where the terminal is too narrow, in this order. The table says which were.
    """
    if title:
        print_text(title, strong=True)
    print(plain_table(columns, rows, left=left, words=words, drop=drop, width=room()))


def plain_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[str] = (),
    words: Sequence[str] = (),
    drop: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """The table as lines of aligned text, column names first; at most `width` letters wide where names allow, None: any."""
    cells = {name: [printable(row[place]) for row in rows] for place, name in enumerate(columns)}
    kept, dropped = list(cells), []
    for name in (None, *drop):
        if name in kept:
            kept.remove(name)
            dropped.append(name)
        if width is None or sum(_least(name, cells[name], words) for name in kept) + len(_GAP) * (len(kept) - 1) <= width:
            break
    widths = _widths(kept, cells, words, width)
    lines = _lines(kept, kept, widths, left, at_end=True)
    for number in range(len(rows)):
        lines += _lines(kept, [cells[name][number] for name in kept], widths, left)
    if dropped:
        lines.append(f"(left out for want of room: {', '.join(dropped)})")
    return "\n".join(lines)


def _least(name: str, cells: Sequence[str], words: Sequence[str]) -> int:
    """The narrowest that a column can be without breaking a word, or a cell that is none of words."""
    parts = [part for cell in cells for part in (_words(cell) if name in words else [cell])]
    return max(map(len, [*parts, *_words(name)]), default=0)


def _widths(kept: Sequence[str], cells: dict[str, list[str]], words: Sequence[str], width: int | None) -> dict[str, int]:
    """As wide as their cells, but where the table would be too wide: there names of columns are broken, then cells of words."""
    natural = {name: max(map(len, [name, *cells[name]])) for name in kept}
    excess = 0 if width is None else sum(natural.values()) + len(_GAP) * (len(kept) - 1) - width
    short = {name: max(_least(name, cells[name], [*words, name] if name in words else ()), 0) for name in kept}
    # First those of which only the name is too long.
    for name in sorted(kept, key=lambda name: (name in words, -natural[name])):
        if excess <= 0:
            break
        saved = min(excess, natural[name] - short[name])
        natural[name] -= saved
        excess -= saved
    return natural


def _lines(
    kept: Sequence[str], texts: Sequence[str], widths: dict[str, int], left: Sequence[str], at_end: bool = False
) -> list[str]:
    """One row of the table, several lines where a cell does not fit into one; at_end: the last ones stand lowest."""
    parts = [_broken(text, widths[name]) for name, text in zip(kept, texts, strict=True)]
    height = max(map(len, parts), default=0)
    filled = [[""] * (height - len(each)) + each if at_end else each + [""] * (height - len(each)) for each in parts]
    return [
        _GAP.join(
            part.ljust(widths[name]) if name in left else part.rjust(widths[name])
            for name, part in zip(kept, line, strict=True)
        ).rstrip()
        for line in zip(*filled, strict=True)
    ]


def _words(text: str) -> list[str]:
    return [word.replace(_GLUE, " ") for word in _UNIT.sub(_GLUE, text).split(" ")]


def _broken(text: str, width: int) -> list[str]:
    """The text in lines of whole words, each as long as the width allows."""
    lines: list[str] = []
    for word in _words(text):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
