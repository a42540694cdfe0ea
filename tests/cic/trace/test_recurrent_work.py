"""A recurrent layer pays for every step: its start, its products, and the weights that it reads again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cic.graph import Op
from cic.trace.fx.torch_trace import trace


def test_recurrent_layer_counts_every_matrix_each_step() -> None:
    model = nn.LSTM(3, 5, batch_first=True)
    (op,) = [op for op in trace(model, (torch.randn(2, 7, 3),)).graph.ops if "lstm" in op.kinds]
    assert op.flops == 2 * 2 * 7 * (4 * 5 * 3 + 4 * 5 * 5)


class Recurrent(nn.Module):
    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(3, 5, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def recurrent_op(kind: str, steps: int, batch: int = 2, **options: object) -> Op:
    (op,) = trace(Recurrent(kind, **options), (torch.randn(batch, steps, 3),)).graph.ops
    return op


@pytest.mark.parametrize("kind, gates", [("GRU", 3), ("LSTM", 4), ("RNN", 1)])
def test_every_step_of_a_recurrent_layer_starts_anew_and_reads_the_state_s_weights(kind: str, gates: int) -> None:
    one, many = recurrent_op(kind, 1), recurrent_op(kind, 9)
    assert (one.starts, many.starts) == (0, 8)
    assert (one.reread_bytes, many.reread_bytes) == (0, 8 * 4 * gates * 25)
    assert many.flops == 9 * one.flops == 9 * 2 * 2 * gates * (15 + 25)
    deep = recurrent_op(kind, 9, num_layers=2, bidirectional=True)
    assert deep.starts == 4 * 9 - 1 and deep.reread_bytes == 4 * many.reread_bytes
    assert recurrent_op(kind, 9, batch=4).reread_bytes == many.reread_bytes


def test_a_projected_state_is_read_again_with_its_projection() -> None:
    assert recurrent_op("LSTM", 4, proj_size=2).reread_bytes == 3 * 4 * (4 * 5 * 2 + 2 * 5)


@pytest.mark.parametrize("kind, gates", [("GRUCell", 3), ("LSTMCell", 4), ("RNNCell", 1)])
def test_a_cell_is_one_step(kind: str, gates: int) -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = getattr(nn, kind)(3, 5)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            made = self.cell(x, (h, h) if kind == "LSTMCell" else h)
            return made[0] if kind == "LSTMCell" else made

    (op,) = [op for op in trace(Cell(), (torch.randn(2, 3), torch.randn(2, 5))).graph.ops if "cell" in op.kinds[0]]
    assert op.flops == 2 * 2 * gates * (15 + 25) and op.starts == 0
