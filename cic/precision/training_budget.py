"""How long the transforms of a model may be trained, as people write it: "90s", "5min", "2h"."""

from __future__ import annotations

import re

from cic.errors import CompileError
from codegen.checked_json import shown

_TEXT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
SHORTEST_S, LONGEST_S = 1.0, 7 * 86_400.0


def budget_seconds(text: str) -> float:
    """A budget in seconds. Raises CompileError for other texts, and for less than a second or more than a week."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise CompileError(f"train is {shown(text)}; write how long transforms may be trained, such as '90s', '5min' or '2h'")
    budget_s = float(match[1]) * _SECONDS[match[2]]
    if not SHORTEST_S <= budget_s <= LONGEST_S:
        raise CompileError(f"train is {shown(text)}, which is {budget_s:g} s; it must lie between 1 s and a week")
    return budget_s
