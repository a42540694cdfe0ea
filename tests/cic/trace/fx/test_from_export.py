"""What torch.export alone does not follow is traced by its stricter way, which reads the model's source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cic.trace.fx.torch_trace import trace


class AddsANumber(nn.Module):
    """A branch that reads a number taken out of a tensor."""

    def forward(self, x: Tensor, count: Tensor) -> Tensor:
        number = count.item()
        return torch.cond(x.sum() > 0, lambda y: y + number, lambda y: y - number, (x,)).relu()


def test_a_branch_may_read_a_number_of_an_input() -> None:
    model, x = AddsANumber().eval(), torch.ones(2, 2)
    traced = trace(model, (x, torch.tensor(2)))
    for given in ((x, torch.tensor(2)), (-x, torch.tensor(-5))):
        assert torch.equal(traced.module(*given)[0], model(*given))
