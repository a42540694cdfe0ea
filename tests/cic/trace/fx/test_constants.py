"""What depends on no input is folded, also when it was filled in place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cic.trace.fx.torch_trace import trace
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
)


def test_constant_masks_filled_in_place_are_folded() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = x.new_zeros(4, 4)
            mask[:2, 2:] = 1
            half = mask * 0.5
            mask[0] = 9
            return x * mask + half + torch.tensor([1.0, 2.0, 3.0, 4.0]).add_(1)

    traced = trace(Masked(), (torch.randn(4, 4),))
    assert_cuts_are_exact(traced)
    assert all(node.op != "call_module" for node in traced.module.graph.nodes)
    assert [op.kinds for op in traced.unfused.ops] == [("mul",), ("add",), ("add",)]
