"""A run of a module in which one value is changed on the way, such that the answer can be differentiated by the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cic.precision.model_runner import Change
from cic.precision.transforms.gradients import plain


def changed_run(module: fx.GraphModule, inputs: Sequence[Any], name: str, change: Change) -> Sequence[torch.Tensor]:
    """The flat answer where the node of that name has the value `change(value)` for all that read it.

    Nothing is remembered for gradients before that node, and weights get none.
    """
    run = _Changed(module, name, change)
    with torch.no_grad():
        answer: Sequence[torch.Tensor] = run.run(*plain(inputs), enable_io_processing=False)
    return answer


class _Changed(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, name: str, change: Change) -> None:
        super().__init__(module)
        self.name, self.change, self.reached = name, change, False

    def run_node(self, n: fx.Node) -> Any:
        if n.name == self.name:
            value = super().run_node(n)
            self.reached = True
            with torch.enable_grad():
                return self.change(value)
        with torch.set_grad_enabled(self.reached):
            return super().run_node(n)
