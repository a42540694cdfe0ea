"""Attributes of TorchScript, and large weights that were written, are put back."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from cic.trace.preservation.preservation import COPIED_WEIGHT_BYTES, Preserved, preserved


def test_a_large_weight_that_is_written_is_put_back_and_others_are_not_copied() -> None:
    model = nn.Sequential(nn.Linear(600, 600), nn.Linear(600, 600)).eval()
    assert model[0].weight.nbytes > COPIED_WEIGHT_BYTES
    before, addresses = model[0].weight.detach().clone(), [weight.data_ptr() for weight in model.parameters()]
    state = Preserved(model)
    with state.writes_seen(), torch.no_grad():
        model[0].weight.data.mul_(2)
        model(torch.ones(1, 600))
    assert len(state.memory.copies) == len(state.memory.spans) - 1
    state.put_back()
    assert torch.equal(model[0].weight, before) and addresses == [weight.data_ptr() for weight in model.parameters()]


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count, self.table, self.log = torch.jit.Attribute(0, int), torch.zeros(0), torch.jit.Attribute([1], list[int])

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.log.append(self.count)
        if self.table.numel() == 0:
            self.table = torch.ones(4)
        return x + self.table


def test_attributes_of_torchscript_are_put_back() -> None:
    model = torch.jit.script(nn.Sequential(OrderedDict(inner=Scripted())))
    with preserved(nn.Sequential(model)):
        model(torch.ones(4))
        assert model.inner.count == 1
    assert (model.inner.count, model.inner.log, model.inner.table.numel()) == (0, [1], 0)
