"""A run of a module in which somebody looks at the value of every node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx


def observe(module: fx.GraphModule, inputs: Sequence[Any], see: Callable[[fx.Node, Any], None]) -> None:
    """Run a module without gradients and give each node, in their order, and its value to `see`, which must not change it."""
    with torch.no_grad():
        _Observed(module, see).run(*inputs, enable_io_processing=False)


class _Observed(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, see: Callable[[fx.Node, Any], None]) -> None:
        super().__init__(module)
        self.see = see

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.see(n, value)
        return value
