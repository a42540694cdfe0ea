"""In-place writes, views and aliases: whatever closed set is cut off, the halves compute the model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fx.schema import written
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.written import Written, chain, residual_added_in_place
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
    assert_equals_model,
    assert_graph_valid,
    assert_members_cover_module,
)


def view_written_later(model: Written, y: Tensor) -> Tensor:
    view = y.view(1, -1)
    z = model.other(y)
    y.mul_(2)
    return view.sum(1) + z.sum()


def base_read_after_view_is_written(model: Written, y: Tensor) -> Tensor:
    y[:, 0].add_(100)
    return model.other(y)


def slice_written(model: Written, y: Tensor) -> Tensor:
    z = torch.relu(model.other(y))
    y[:, 1:3] += z[:, 1:3]
    y[:, :, 2] = 5
    return torch.cat([y, z], 1)


def old_value_read_before(model: Written, y: Tensor) -> tuple[Tensor, Tensor]:
    before = y * 1
    y.add_(1)
    return before, y


def alias_read_before_and_after(model: Written, y: Tensor) -> tuple[Tensor, ...]:
    alias = y.detach()
    a = alias.exp()
    y.neg_()
    b = alias.exp()
    y.neg_()
    return a, b, alias.exp(), y


def dropout_aliases(model: Written, y: Tensor) -> Tensor:
    z = nn.functional.dropout(y, 0.5, training=False)
    z.add_(3)
    return y + model.other(z)


def filled_step_by_step(model: Written, y: Tensor) -> Tensor:
    out = torch.zeros(4, *y.shape)
    for step in range(4):
        y = model.other(y).tanh()
        out[step] = y
    return out.mean(0)


def write_feeds_itself(model: Written, y: Tensor) -> Tensor:
    top, bottom = y[:, :2], y[:, 2:]
    bottom += torch.sigmoid(top)
    top += torch.sigmoid(bottom)
    return model.other(y)


def split_then_written(model: Written, y: Tensor) -> Tensor:
    a, b = y.split(2, 1)
    a.add_(b)
    return model.other(y) + torch.cat([b, a], 1)


def two_bases(model: Written, y: Tensor) -> Tensor:
    z = model.other(y)
    y[:, 0] += z[:, 0]
    z[:, 1] += y[:, 0]
    return y * z


def copied_over(model: Written, y: Tensor) -> Tensor:
    z = torch.empty_like(y)
    z.copy_(y.double())
    return model.other(z)


def out_variant(model: Written, y: Tensor) -> Tensor:
    z = torch.zeros_like(y)
    torch.add(y, 1, out=z)
    return model.other(z) + y


def reshaped_in_place(model: Written, y: Tensor) -> Tensor:
    z = model.other(y)
    z.unsqueeze_(0)
    z.squeeze_(0)
    return z + y


def narrower_type_kept(model: Written, y: Tensor) -> Tensor:
    z = y.half()
    z += y
    return z


def copying_reshape(model: Written, y: Tensor) -> Tensor:
    z = y.transpose(1, 3).reshape(1, -1)  # a copy, so the write below does not show in y
    z.add_(7)
    return y.flatten(1) + z


def strided_by_hand(model: Written, y: Tensor) -> Tensor:
    z = y.to(memory_format=torch.channels_last)
    z = model.other(z)
    return torch.as_strided(z, (2, 3), (1, 2)) + 1


def base_returned_and_view_written(model: Written, y: Tensor) -> tuple[Tensor, Tensor]:
    view = y[0]
    view.zero_()
    return y, model.other(y)


def strides_decide_over_copy(model: Written, y: Tensor) -> Tensor:
    y = model.other(y.to(memory_format=torch.channels_last)).exp()
    z = y + 1
    w = z.reshape(1, -1)  # a copy only because z lies in memory channels last
    w.mul_(3)
    v = z.permute(0, 2, 3, 1).reshape(1, -1)  # a view for the same reason
    v.add_(5)
    return z * 2 + w.sum()


def strided_by_hand_behind_other_ops(model: Written, y: Tensor) -> Tensor:
    y = model.other(y.to(memory_format=torch.channels_last)).exp().tanh()
    a = torch.as_strided(y + 1, (2, 3), (1, 2))
    return a + torch.as_strided(y.permute(0, 2, 3, 1) * 3, (2, 3), (7, 2), 5)


def expanded_into_piece(model: Written, y: Tensor) -> Tensor:
    wide = y.mean((2, 3), keepdim=True).expand(-1, -1, 6, 6)
    z = wide + 0 * y
    z[:, 0] += wide[:, 1]
    return z * y


BODIES = [
    strides_decide_over_copy,
    strided_by_hand_behind_other_ops,
    expanded_into_piece,
    view_written_later,
    base_read_after_view_is_written,
    slice_written,
    residual_added_in_place,
    chain,
    old_value_read_before,
    alias_read_before_and_after,
    dropout_aliases,
    filled_step_by_step,
    write_feeds_itself,
    split_then_written,
    two_bases,
    copied_over,
    out_variant,
    reshaped_in_place,
    narrower_type_kept,
    copying_reshape,
    strided_by_hand,
    base_returned_and_view_written,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_every_cut_computes_the_model(body: Callable[..., object]) -> None:
    torch.manual_seed(0)
    model = Written(body)
    traced = trace(model, (torch.randn(1, 3, 6, 6),))
    assert_graph_valid(traced.graph)
    assert_graph_valid(traced.unfused)
    assert_members_cover_module(traced)
    assert_equals_model(traced, model)
    assert not [node for node in traced.module.graph.nodes if written(node)]
    assert_cuts_are_exact(traced)
