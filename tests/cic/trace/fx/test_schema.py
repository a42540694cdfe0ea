"""What an operator writes or draws is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return x * self.seen


def test_written_buffer_is_refused_by_name() -> None:
    model = Counter()
    with pytest.raises(TraceError, match=r"test_schema\.py:\d+ changes the parameter or buffer 'seen'"):
        trace(model, (torch.ones(2),))
    assert model.seen == 0


@pytest.mark.parametrize("body", [lambda x: x.relu_(), lambda x: x[0].add_(1)])
def test_written_input_is_refused_by_name(body: Callable[[Tensor], Tensor]) -> None:
    class Writes(nn.Module):
        def forward(self, picture: Tensor) -> Tensor:
            return body(picture)

    given = -torch.ones(2)
    with pytest.raises(TraceError, match="changes the model input 'picture' in place"):
        trace(Writes(), (given,))
    assert torch.equal(given, -torch.ones(2))


def test_random_ops_are_refused_by_name() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    with pytest.raises(TraceError, match=r"rand_like at .*test_schema\.py:\d+ draws random numbers"):
        trace(Noisy(), (torch.ones(2),))
