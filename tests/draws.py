"""How many random draws a test makes: a fifth of what it could, unless `make test-draws` asks for all."""

from __future__ import annotations

import os

ALL = os.environ.get("CIC_ALL_DRAWS") == "1"


def draws(number: int) -> int:
    """Return `number` if all draws are asked for, else a fifth of it."""
    return number if ALL else max(1, number // 5)
