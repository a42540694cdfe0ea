"""Layers and weights called `class` or `global`, as keys of a ModuleDict may be: torch writes them into code as they are."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from torch.fx import graph


@contextmanager
def keywords_may_be_names() -> Iterator[None]:
    """Within the block, code that torch.fx writes reaches such an attribute as `getattr(self, "class")`."""
    written = graph._format_target

    def format_target(base: str, target: str) -> str:
        for step in target.split("."):
            base = f'getattr({base}, "{step}")' if keyword.iskeyword(step) else written(base, step)
        return base

    with patch.object(graph, "_format_target", format_target):
        yield
