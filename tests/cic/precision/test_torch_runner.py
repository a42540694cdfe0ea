"""A torch model on samples: what is shown, cut and differentiated is that of the whole model."""

from __future__ import annotations

import torch
from torch import nn

import cic
from cic.precision.torch_runner import TorchRunner
from cic.trace.fx.traced_model import TracedModel


def runner() -> TorchRunner:
    torch.manual_seed(0)
    traced = cic.trace_model(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)).eval(), (torch.zeros(2, 6),))
    assert isinstance(traced, TracedModel)
    return TorchRunner(traced)


def test_shown_values_give_the_answer_again_by_the_tail() -> None:
    run, sample = runner(), (torch.randn(2, 6, generator=torch.Generator().manual_seed(1)),)
    hidden = next(tensor for tensor in run.traced.graph.tensors if tensor.shape == (2, 5) and tensor.may_cross)
    shown: dict[str, torch.Tensor] = {}
    run.observe(sample, {hidden.name}, shown.__setitem__)
    halves = run.halves({member for op in run.traced.graph.ops if op.name == hidden.producer for member in op.members})
    assert shown.keys() == {hidden.name} == {wire.name for wire in halves.crossing}
    assert torch.allclose(halves.tail(shown[hidden.name])[0], run.whole(sample)[0])


def test_gradients_are_those_of_differences() -> None:
    """A direction of the answer is linear in the last layer's inputs, so moving these moves it by gradient times change."""
    run, sample = runner(), (torch.randn(2, 6, generator=torch.Generator().manual_seed(1)),)
    hidden = next(tensor.name for tensor in run.traced.graph.tensors if tensor.shape == (2, 5) and tensor.may_cross)
    found = run.gradients(sample, {hidden}, torch.Generator().manual_seed(2), of_classes=False)
    assert found is not None
    answer = run.whole(sample)[0].double()
    drawn = torch.randn(answer.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weight = next(each for each in run.traced.module.state_dict().values() if each.shape == (4, 5)).double()
    assert torch.allclose(found[hidden].double(), drawn / answer.norm() @ weight, atol=1e-5)


def test_samples_run_together_only_as_often_as_the_model_minds_not() -> None:
    run = runner()
    assert run.most_together([(torch.randn(2, 6),), (torch.randn(2, 6),)], 16) == 16
    assert run.most_together([(torch.randn(2, 6),)], 16) == 1
